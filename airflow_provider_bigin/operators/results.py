"""What became of the rows: counts, a result for XCom, a file, and whether the task has failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from airflow_provider_bigin.api.errors import BiginError, BiginMailsLeftError, BiginPartialDeliveryError
from airflow_provider_bigin.delivery.outcome import STATUSES, Outcome

FailOn = Literal["any", "all", "never"]
FAIL_ON: tuple[FailOn, ...] = ("any", "all", "never")

COLUMNS = ("row", "record_id", "status", "message_id", "error", "detail", "blocked")
#: In XCom, which more people can read: with the reason in place of the detail, which may quote an address.
XCOM_COLUMNS = ("row", "record_id", "status", "message_id", "error", "reason", "blocked")
#: Rows in XCom, at most; a file has them all.
MAX_XCOM_ROWS = 1000
#: Different errors that are counted in a text.
MAX_REASONS = 5
#: Mails in doubt of which the log tells why.
MAX_DOUBTS = 100


def summarize(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """
    Make the task's result: a count for each status, and the rows, those that are not delivered first if they
    are too many.
    """
    counts = Counter(outcome.status for outcome in outcomes)
    rows: Iterable[dict[str, Any]] = result_rows(outcomes)
    if len(outcomes) > MAX_XCOM_ROWS:
        rows = sorted(rows, key=lambda row: row["status"] in ("sent", "already_sent"))[:MAX_XCOM_ROWS]
    return {
        "total": len(outcomes),
        **{status: counts[status] for status in STATUSES},
        "rows": [{name: row[name] for name in XCOM_COLUMNS} for row in rows],
        "rows_left_out": max(0, len(outcomes) - MAX_XCOM_ROWS),
    }


def result_rows(outcomes: Iterable[Outcome]) -> Iterator[dict[str, Any]]:
    """Make the line of each row."""
    for number, outcome in enumerate(outcomes):
        yield {
            "row": number,
            "record_id": outcome.record.id if outcome.record else None,
            "status": outcome.status,
            "message_id": outcome.message_id,
            "error": outcome.code,
            "reason": outcome.reason,
            "detail": outcome.detail,
            "blocked": list(outcome.blocked),
        }


def undelivered(
    outcomes: Sequence[Outcome], fail_on: FailOn, *, is_last_try: bool, limit: BiginError | None = None
) -> BiginError | None:
    """
    Tell whether the task has failed, and make the error.

    What a later try may send is left to it; ``fail_on`` judges what no retry is left for, and not those who
    have opted out.

    :param limit: what may keep a later try from it, too.
    """
    if any(outcome.is_retryable for outcome in outcomes) and not is_last_try:
        return BiginMailsLeftError(
            f"{_with_reasons(outcomes)}; the next try sends what is left", hint=limit.hint if limit else None
        )
    wanted = [outcome for outcome in outcomes if outcome.status != "opted_out"]
    number = sum(not outcome.is_delivered for outcome in wanted)
    has_failed = {"any": number > 0, "all": 0 < number == len(wanted), "never": False}[fail_on]
    if not has_failed:
        return None
    return BiginPartialDeliveryError(
        _with_reasons(outcomes),
        hint="The task's result says which and why. Clear the task to send what is left; mails in doubt are"
        ' looked for first, and sent again only with on_unknown_outcome="resend", or "ask" and a person who'
        " says so",
    )


def doubts(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Say of some mails that may have been sent why that is not known; without addresses."""
    unknown = [(row, outcome) for row, outcome in enumerate(outcomes) if outcome.status == "unknown"]
    for row, outcome in unknown[:MAX_DOUBTS]:
        yield f"Row {row}: {outcome.error}"


def describe(outcomes: Sequence[Outcome]) -> str:
    """Say in one sentence how many mails came how far."""
    counts = Counter(outcome.status for outcome in outcomes)
    numbers = ", ".join(
        f"{counts[status]} {status.replace('_', ' ')}" for status in STATUSES if counts[status]
    )
    return f"{len(outcomes)} mails: {numbers or 'none'}"


def reasons(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Say why mails are not out, the most frequent reasons first, each with a count; without addresses."""
    counts = Counter(outcome.reason for outcome in outcomes if outcome.error).most_common()
    for reason, number in counts[:MAX_REASONS]:
        yield f"{number} x {reason}"
    if left := sum(number for _, number in counts[MAX_REASONS:]):
        yield f"{left} for other reasons"


def _with_reasons(outcomes: Sequence[Outcome]) -> str:
    return "; ".join([describe(outcomes), *reasons(outcomes)])
