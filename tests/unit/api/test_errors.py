from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.api.errors import BiginError, error_from_answer

FLAT = {"code": "INVALID_DATA", "details": {}, "message": "invalid email", "status": "error"}


def test_a_success_is_no_error():
    assert (
        error_from_answer("POST /x", 200, {"data": [{"code": "SUCCESS", "status": "success", "details": {}}]})
        is None
    )
    assert error_from_answer("GET /x", 204, None) is None


@pytest.mark.parametrize("body", [FLAT, {"data": [FLAT]}], ids=["flat", "wrapped"])
@pytest.mark.parametrize("status", [200, 400])
def test_both_envelopes_at_any_status(body, status):
    error = error_from_answer("POST /x", status, body)
    assert isinstance(error, errors.BiginInvalidRequestError)
    assert (error.code, error.status, error.message) == ("INVALID_DATA", status, "invalid email")


@pytest.mark.parametrize("details", [{}, [], None, "x", {"json_path": "$.data[0].to"}])
def test_details_in_any_form(details):
    error = error_from_answer("POST /x", 400, {**FLAT, "details": details})
    assert error is not None
    assert isinstance(error.details, dict)


@pytest.mark.parametrize(
    ("status", "code", "message", "details", "error_class"),
    [
        (401, "INVALID_TOKEN", "invalid oauth token", {}, errors.BiginAuthenticationError),
        (401, "AUTHENTICATION_FAILURE", "Authentication failed", {}, errors.BiginAuthenticationError),
        (401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope", [], errors.BiginScopeError),
        (403, "NO_PERMISSION", "permission denied", {}, errors.BiginPermissionError),
        (400, "AUTHORIZATION_FAILED", "no privilege", {}, errors.BiginPermissionError),
        (400, "INVALID_MODULE", "the module name given seems to be invalid", {}, errors.BiginNotFoundError),
        (
            400,
            "INVALID_DATA",
            "the id given seems to be invalid",
            {"resource_path_index": 1},
            errors.BiginNotFoundError,
        ),
        (400, "INVALID_DATA", "invalid email", {"api_name": "to"}, errors.BiginInvalidRequestError),
        (400, "NOT_ALLOWED", "bounced earlier", {}, errors.BiginInvalidRequestError),
        (400, "LIMIT_EXCEEDED", "daily limit", {}, errors.BiginDailyLimitError),
        (400, "LIMIT_REACHED", "limit reached", {}, errors.BiginDailyLimitError),
        (429, "LIMIT_REACHED", "limit reached", {}, errors.BiginDailyLimitError),
        (400, "RECORD_LOCKED", "locked", {}, errors.BiginRecordLockedError),
        (400, "CUSTOM_ERROR", "smtp", {}, errors.BiginServerError),
        (429, "TOO_MANY_REQUESTS", "sub-concurrency limit of 10 reached", {}, errors.BiginRateLimitError),
        (429, "TOO_MANY_REQUESTS", "out of API credits for 24 hours", {}, errors.BiginCreditLimitError),
        (429, "TOO_MANY_REQUESTS", "too many", {}, errors.BiginRateLimitError),
        (500, "INTERNAL_ERROR", "Internal Server Error", {}, errors.BiginServerError),
        (200, "INTERNAL_SERVER_ERROR", "Internal Server Error", {}, errors.BiginServerError),
        (503, "NEVER_SEEN", "?", {}, errors.BiginServerError),
        (400, "NEVER_SEEN", "?", {}, errors.BiginInvalidRequestError),
    ],
)
def test_codes(status, code, message, details, error_class):
    body = {"code": code, "message": message, "details": details, "status": "error"}
    assert type(error_from_answer("POST /x", status, body)) is error_class
    if status >= 400:
        del body["status"]
        assert type(error_from_answer("POST /x", status, body)) is error_class
        assert type(error_from_answer("POST /x", status, {"data": [body]})) is error_class


@pytest.mark.parametrize(
    ("status", "error_class"),
    [
        (302, errors.BiginServerError),
        (400, errors.BiginServerError),
        (401, errors.BiginServerError),
        (403, errors.BiginServerError),
        (404, errors.BiginServerError),
        (429, errors.BiginRateLimitError),
        (502, errors.BiginServerError),
    ],
)
def test_bodies_that_are_not_bigins(status, error_class):
    assert type(error_from_answer("POST /x", status, None)) is error_class


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Forbidden"},
        {"code": 403, "message": "Forbidden"},
        {"code": "403", "message": "Forbidden"},
        {"code": "FORBIDDEN"},
        {"status": "error", "message": "upstream refused"},
        {"status": 403, "code": "forbidden", "message": "Blocked"},
        {"error": {"code": "FORBIDDEN", "message": "Blocked"}},
        {"data": [{"code": "SUCCESS", "message": "sent", "status": "success", "details": {}}]},
    ],
)
def test_json_that_is_not_bigins(body):
    error = error_from_answer("POST /x", 403, body)
    assert type(error) is errors.BiginServerError
    assert error.message == "the response is not one of Bigin's"


def test_the_credits_header_tells_which_limit():
    body = {"code": "TOO_MANY_REQUESTS", "message": "slow down", "details": {}, "status": "error"}
    assert isinstance(
        error_from_answer("GET /x", 429, body, no_credits_left=True), errors.BiginCreditLimitError
    )


def test_the_longest_wait_that_the_server_asks_for_counts():
    body = {"code": "TOO_MANY_REQUESTS", "message": "", "details": {"retry_after": 7}, "status": "error"}
    error = error_from_answer("GET /x", 429, body, retry_after=3)
    assert error is not None
    assert error.retry_after == 7


def test_the_text_says_what_where_and_what_to_do():
    body = {
        "code": "INVALID_DATA",
        "details": {"json_path": "$.data[0].to[0].email"},
        "message": "invalid email",
        "status": "error",
    }
    error = error_from_answer("POST /bigin/v2/Contacts/1/actions/send_mail", 400, {"data": [body]})
    assert str(error) == (
        "invalid email (POST /bigin/v2/Contacts/1/actions/send_mail, HTTP 400, INVALID_DATA,"
        " $.data[0].to[0].email)"
    )


def test_who_may_not_be_mailed_may_have_opted_out():
    body = {"code": "NO_PERMISSION", "message": "permission denied", "status": "error", "details": {}}
    assert "opted out of e-mail" in str(error_from_answer("POST /x", 403, body))


STRANGE_TEXT = "550 no\r\n\x1b[31mINFO all is well\u2028\u202e\ud800" + "x" * 1_000_000
DEEP: list = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize("status", [200, 400, 503])
@pytest.mark.parametrize("field", ["message", "code", "json_path", "api_name"])
def test_texts_of_servers_are_one_short_line(status, field):
    item = {"code": "CUSTOM_ERROR", "message": "smtp", "details": {}, "status": "error"}
    (item if field in item else item["details"])[field] = STRANGE_TEXT  # type: ignore[index]
    error = error_from_answer("POST /x", status, {"data": [item]})
    for text in (str(error), error.message, error.code or "", str(error.details)):
        assert len(text) < 1000
        assert text.isprintable()
        text.encode()


@pytest.mark.parametrize("value", [DEEP, [STRANGE_TEXT], {"x": DEEP}], ids=range(3))
def test_details_of_any_type_can_be_shown(value):
    error = error_from_answer("POST /x", 400, {**FLAT, "details": {"json_path": value, "api_name": value}})
    assert len(str(error)) < 1000
    assert len(str(error.details)) < 2000


def test_numbers_in_details_stay_numbers():
    error = error_from_answer("POST /x", 400, {**FLAT, "details": {"limit": 10, "is_last": True, "x": None}})
    assert error is not None
    assert error.details == {"limit": 10, "is_last": True, "x": None}


def test_the_text_of_any_error_is_one_line():
    assert str(BiginError("cannot connect:\r\nINFO all is well\ud800")) == (
        "cannot connect: INFO all is well\\ud800"
    )


def test_errors_survive_pickling():
    error = errors.BiginOutcomeUnknownError("lost", status=502, details={"a": 1}, hint="Look")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - its own
    assert (str(copy), copy.status, copy.details) == (str(error), 502, {"a": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.sampled_from(["data", "code", "status", "details", "message", "retry_after", "x"]), inner
        )
        | st.fixed_dictionaries(
            {"status": st.just("error"), "code": inner, "details": inner, "message": inner}
        )
    ),
    max_leaves=12,
)


@given(st.integers(100, 599), JSON)
def test_any_answer_gives_none_or_our_error(status, body):
    error = error_from_answer("POST /x", status, body)
    assert error is None or isinstance(error, BiginError)
    if error is None:
        assert 200 <= status < 300
    else:
        assert error.sent in ("no", "unknown")
        assert "POST /x" in str(error)
