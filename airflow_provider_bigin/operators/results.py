"""What happened to the rows: counts, a result for XCom, a file, and whether the task has failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from airflow_provider_bigin.api.errors import BiginError, BiginMailsLeftError, BiginPartialDeliveryError
from airflow_provider_bigin.delivery.outcome import STATUSES, Outcome

FailOn = Literal["any", "all", "never"]
FAIL_ON: tuple[FailOn, ...] = ("any", "all", "never")

COLUMNS = ("row", "record_id", "status", "message_id", "error", "detail", "blocked")
#: In XCom, which more people can read: the reason instead of the detail, which may quote an address.
XCOM_COLUMNS = ("row", "record_id", "status", "message_id", "error", "reason", "blocked")
#: Maximum number of rows in XCom; a file has them all.
MAX_XCOM_ROWS = 1000
#: Maximum number of different reasons in a message.
MAX_REASONS = 5
#: Maximum number of mails in doubt for which the log says why.
MAX_DOUBTS = 100


def summarize(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """
    Return the task's result: a count for each status, and the rows.

    If there are too many rows, those that are not delivered come first.
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
    """Yield the result of each row."""
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
    Return the error if the task has failed.

    What a later try may send is left to it; ``fail_on`` applies to the mails without a retry left, except
    those of contacts who have opted out.

    :param limit: limit that may also keep a later try from sending.
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
        ' looked for first, and sent again only with on_unknown_outcome="resend", or with "ask" if a person'
        " says so",
    )


def doubts(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Explain, without addresses, why it is unknown whether some mails were sent."""
    unknown = [(row, outcome) for row, outcome in enumerate(outcomes) if outcome.status == "unknown"]
    for row, outcome in unknown[:MAX_DOUBTS]:
        yield f"Row {row}: {outcome.error}"


def describe(outcomes: Sequence[Outcome]) -> str:
    """Say in one sentence how many mails have each status."""
    counts = Counter(outcome.status for outcome in outcomes)
    numbers = ", ".join(
        f"{counts[status]} {status.replace('_', ' ')}" for status in STATUSES if counts[status]
    )
    return f"{len(outcomes)} mails: {numbers or 'none'}"


def reasons(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """Say why mails were not sent, without addresses: the most frequent reasons first, with counts."""
    counts = Counter(outcome.reason for outcome in outcomes if outcome.error).most_common()
    for reason, number in counts[:MAX_REASONS]:
        yield f"{number} x {reason}"
    if left := sum(number for _, number in counts[MAX_REASONS:]):
        yield f"{left} for other reasons"


def _with_reasons(outcomes: Sequence[Outcome]) -> str:
    return "; ".join([describe(outcomes), *reasons(outcomes)])
