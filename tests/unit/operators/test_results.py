from __future__ import annotations

import json

import pytest

from airflow_provider_bigin.api.errors import (
    BiginMailsLeftError,
    BiginOptedOutError,
    BiginOutcomeUnknownError,
    BiginPartialDeliveryError,
    BiginRecordLockedError,
    BiginValidationError,
)
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.outcome import Outcome
from airflow_provider_bigin.operators.results import (
    MAX_REASONS,
    MAX_XCOM_ROWS,
    describe,
    reasons,
    summarize,
    undelivered,
)


def record(number):
    return RecordRef("Contacts", str(number))


SENT = Outcome("sent", record(1), "a" * 64, blocked=("x@example.org",))
EARLIER = Outcome("already_sent", record(2), "b" * 64)
FAILED = Outcome(
    "failed",
    record(3),
    error=BiginValidationError("to: someone@example.org is wrong", code="INVALID_DATA"),
)
OPTED_OUT = Outcome.of_failure(record(6), BiginOptedOutError("opted out", code="NO_PERMISSION"))
LOCKED = Outcome("failed", record(4), error=BiginRecordLockedError("locked", code="RECORD_LOCKED"))
IN_DOUBT = Outcome("unknown", record(5), error=BiginOutcomeUnknownError("it cannot be told"))


def test_counts_and_rows():
    result = summarize([SENT, EARLIER, FAILED])
    assert [result[name] for name in ("total", "sent", "already_sent", "failed", "unknown", "skipped")] == [
        3, 1, 1, 1, 0, 0
    ]  # fmt: skip
    assert result["rows"][2] == {
        "row": 2, "record_id": "3", "status": "failed", "message_id": None, "error": "INVALID_DATA",
        "reason": "to: ... is wrong (INVALID_DATA)", "blocked": [],
    }  # fmt: skip


def test_the_result_is_bounded_and_shows_what_failed():
    result = summarize([SENT] * 5000 + [FAILED] * 3)
    assert len(result["rows"]) == MAX_XCOM_ROWS
    assert [row["row"] for row in result["rows"][:4]] == [5000, 5001, 5002, 0]
    assert result["rows_left_out"] == 4003
    assert len(json.dumps(result)) < 256 * 1024


def test_the_description_counts():
    assert describe([SENT, EARLIER, FAILED, IN_DOUBT]) == (
        "4 mails: 1 sent, 1 already sent, 1 failed, 1 unknown"
    )


def test_reasons_are_counted_and_name_no_addresses():
    assert list(reasons([SENT, FAILED, LOCKED, FAILED])) == [
        "2 x to: ... is wrong (INVALID_DATA)",
        "1 x locked (RECORD_LOCKED)",
    ]


def test_many_reasons_are_bounded():
    outcomes = [Outcome("failed", error=BiginValidationError(f"reason {'ab'[n % 2] * n}")) for n in range(9)]
    *told, last = reasons(outcomes)
    assert len(told) == MAX_REASONS
    assert last == f"{9 - MAX_REASONS} for other reasons"


@pytest.mark.parametrize(
    ("outcomes", "fail_on", "error"),
    [
        ([SENT, EARLIER], "any", None),
        ([SENT, FAILED], "any", BiginPartialDeliveryError),
        ([SENT, IN_DOUBT], "any", BiginPartialDeliveryError),
        ([SENT, FAILED], "all", None),
        ([FAILED, IN_DOUBT], "all", BiginPartialDeliveryError),
        ([FAILED], "never", None),
        ([], "all", None),
        ([SENT, OPTED_OUT], "any", None),
        ([OPTED_OUT], "all", None),
        ([OPTED_OUT, FAILED], "all", BiginPartialDeliveryError),
        ([OPTED_OUT, FAILED], "any", BiginPartialDeliveryError),
    ],
)
@pytest.mark.parametrize("is_last_try", [True, False])
def test_whether_the_task_fails_for_what_no_retry_cures(outcomes, fail_on, error, is_last_try):
    assert type(undelivered(outcomes, fail_on, is_last_try=is_last_try)) is (error or type(None))


@pytest.mark.parametrize("fail_on", ["any", "all", "never"])
def test_what_a_retry_may_cure_is_left_to_it(fail_on):
    error = undelivered([SENT, LOCKED], fail_on, is_last_try=False)
    assert isinstance(error, BiginMailsLeftError)
    assert error.retryable


def test_on_the_last_try_nothing_is_left_to_a_retry():
    assert undelivered([SENT, LOCKED], "never", is_last_try=True) is None
    assert isinstance(undelivered([SENT, LOCKED], "any", is_last_try=True), BiginPartialDeliveryError)
