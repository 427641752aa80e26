"""
What can go wrong with Bigin, and what it means for a mail.

Every error answers two questions, because they decide what may happen next: **was the mail sent** (``sent``)
and **can a later try succeed** (``retryable``). Each class can be named in an ``except`` or, by its dotted
path, in an Airflow retry rule.

See https://www.bigin.com/developer/docs/apis/v2/status-codes.html; codes not listed there are from the same
platform's CRM API, https://www.zoho.com/crm/developer/docs/api/v8/send-mail.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from airflow_provider_bigin.api.text import MAX_EXCERPT_LENGTH, excerpt, one_line, quoted

Sent = Literal["no", "yes", "unknown"]

#: Maximum characters of a code or field name that comes from Bigin.
MAX_CODE_LENGTH = 100


class BiginError(Exception):
    """
    Anything that Bigin refuses, or that prevents a response.

    :param message: what failed, in one sentence and one line; Bigin's own words where it gave any.
    :param status: HTTP status of the response, if there was one.
    :param code: Bigin's error code, such as ``INVALID_DATA``.
    :param details: Bigin's ``details`` object; it often names the offending field.
    :param request: method and path of the request, without query, headers or body.
    :param retry_after: seconds that the server asks us to wait.
    :param hint: what the reader can do about it.
    """

    sent: ClassVar[Sent] = "no"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        details: Mapping[str, Any] | None = None,
        request: str | None = None,
        retry_after: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = one_line(message)
        self.status = status
        self.code = code
        self.details = dict(details or {})
        self.request = request
        self.retry_after = retry_after
        self.hint = hint

    def __str__(self) -> str:
        sentence = f"{self.message.rstrip('.')}. {self.hint}" if self.hint else self.message
        where = self.details.get("json_path") or self.details.get("api_name")
        status = f"HTTP {self.status}" if self.status is not None else None
        origin = ", ".join(str(part) for part in (self.request, status, self.code, where) if part)
        return f"{sentence} ({origin})" if origin else sentence


class BiginConfigurationError(BiginError, ValueError):
    """The connection or an argument cannot be used; no request was made."""


class BiginConnectionError(BiginError):
    """The server could not be reached, or the connection broke before a response came."""

    retryable = True


class BiginServerError(BiginError):
    """Bigin, or something in front of it, failed or sent a response that is not valid."""

    retryable = True


class BiginRateLimitError(BiginError):
    """Too many calls at once (HTTP 429); a few seconds later there is room again."""

    retryable = True


class BiginCreditLimitError(BiginRateLimitError):
    """The organization's API credits for the last 24 hours are used up; this lasts for hours."""


class BiginTokenLimitError(BiginRateLimitError):
    """Zoho's accounts server is not issuing access tokens for now; this lasts for ten to thirty minutes."""


class BiginDailyLimitError(BiginError):
    """The account has reached its daily limit of mails."""

    retryable = True


class BiginRecordLockedError(BiginError):
    """The record is locked by an approval or a running process."""

    retryable = True


class BiginAuthenticationError(BiginError):
    """The credentials are wrong, revoked or from another data center."""


class BiginTokenRefusedError(BiginAuthenticationError):
    """
    Bigin refuses an access token that the accounts server has only just issued.

    The region may be wrong, or Zoho invalidated the token at once, as it does with the oldest of more than
    fifteen; a later try gets another one.
    """

    retryable = True


class BiginScopeError(BiginError):
    """The token was not granted the scope that this call needs."""


class BiginPermissionError(BiginError):
    """The Bigin user is not allowed to do this."""


class BiginOptedOutError(BiginPermissionError):
    """The contact has opted out of e-mail, so Bigin does not send any."""


class BiginNotFoundError(BiginError):
    """There is no such record, module or URL in Bigin."""


class BiginInvalidRequestError(BiginError, ValueError):
    """Bigin refuses the request; repeating it does not help."""


class BiginValidationError(BiginInvalidRequestError):
    """The mail itself is wrong: an address, a field, its size. Nothing was sent."""


class BiginFileRefusedError(BiginValidationError):
    """Bigin has no file with an id that the mail attaches; it was already used, or is too old."""


class BiginOutcomeUnknownError(BiginError):
    """
    The mail may or may not have been sent, and there is no way to tell.

    The cause (a lost response, a server error) is the ``__cause__``. Sending again may mail the person twice.
    """

    sent = "unknown"


class BiginOutcomePendingError(BiginOutcomeUnknownError):
    """
    The mail may or may not have been sent, and a later try can find out.

    Raised only by the operators: their next try looks for the mail before it sends anything.
    """

    retryable = True


class BiginMailsLeftError(BiginError):
    """Some of many mails were not sent, and a later try can send them; raised only by the bulk operator."""

    retryable = True


class BiginPartialDeliveryError(BiginError):
    """Some of many mails were not sent, or may not have been, and there is no retry left."""


class BiginJournalError(BiginError):
    """What is about to be sent could not be recorded in Airflow, so it is not sent."""

    retryable = True


class BiginStaleAttemptError(BiginError):
    """Airflow has failed, finished or restarted the task in the meantime; this try must not send anything."""

    retryable = True


_BY_CODE: dict[str, type[BiginError]] = {
    "INVALID_TOKEN": BiginAuthenticationError,
    "AUTHENTICATION_FAILURE": BiginAuthenticationError,
    "INVALID_OAUTHTOKEN": BiginAuthenticationError,
    "OAUTH_SCOPE_MISMATCH": BiginScopeError,
    "AUTHORIZATION_FAILED": BiginPermissionError,
    "NO_PERMISSION": BiginPermissionError,
    "TOO_MANY_REQUESTS": BiginRateLimitError,
    "LIMIT_EXCEEDED": BiginDailyLimitError,
    "LIMIT_REACHED": BiginDailyLimitError,
    "RECORD_LOCKED": BiginRecordLockedError,
    "INVALID_MODULE": BiginNotFoundError,
    "INVALID_URL_PATTERN": BiginNotFoundError,
    "INTERNAL_ERROR": BiginServerError,
    "INTERNAL_SERVER_ERROR": BiginServerError,
    # Mail search is down or the mailbox is being synchronized: this is temporary.
    "CANNOT_PROCESS": BiginServerError,
    # Bigin's session with the user's own SMTP server broke; how far it got is not known.
    "CUSTOM_ERROR": BiginServerError,
}
_BY_STATUS: dict[int, type[BiginError]] = {
    401: BiginAuthenticationError,
    403: BiginPermissionError,
    404: BiginNotFoundError,
    429: BiginRateLimitError,
}
#: Codes of a 401 that a new access token fixes. The documentation names the third, real traffic shows the
#: first two.
TOKEN_CODES = frozenset({"INVALID_TOKEN", "AUTHENTICATION_FAILURE", "INVALID_OAUTHTOKEN"})

_HINTS: dict[type[BiginError], str] = {
    BiginPermissionError: "The Bigin user is not allowed to do this, or the person has opted out of e-mail"
    " (Email Opt Out in the record)",
    BiginScopeError: "Authorize the connection again with the missing scope; a token's scopes never change",
    BiginCreditLimitError: "Bigin counts API credits over 24 hours; try again in a few hours",
    BiginDailyLimitError: "The count resets at midnight in the organization's time zone",
}


def error_from_answer(
    request: str, status: int, body: Any, *, retry_after: float | None = None, no_credits_left: bool = False
) -> BiginError | None:
    """
    Return the error that a response reports.

    :param request: method and path, for the error's text.
    :param status: HTTP status.
    :param body: the decoded JSON body, or None if the body was empty or not JSON.
    :param retry_after: seconds from a ``Retry-After`` header.
    :param no_credits_left: whether the response's headers say that no API credits remain.
    :return: the error, or None if the response is a success.
    """
    item = _error_item(status, body)
    if item is None and 200 <= status < 300:
        return None
    if item is None:
        # Regardless of the status: a proxy or an edge server in between returns 401, 403 and 404 too.
        foreign_class = BiginRateLimitError if status == 429 else BiginServerError
        return foreign_class(
            "the response is not one of Bigin's", status=status, request=request, retry_after=retry_after
        )
    code = _text_or_none(item.get("code"), MAX_CODE_LENGTH)
    given = item.get("details")
    details = (
        {str(name): _short(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    )
    message = _text_or_none(item.get("message")) or "Bigin does not say why"
    error_class = _error_class(status, code, message, details, no_credits_left=no_credits_left)
    if error_class is BiginNotFoundError and code == "INVALID_DATA":
        message = _no_such_record(request) or message
    return error_class(
        message,
        status=status,
        code=code,
        details=details,
        request=request,
        retry_after=_longest(retry_after, seconds_or_none(details.get("retry_after"))),
        hint=_HINTS.get(error_class),
    )


def seconds_or_none(value: Any) -> float | None:
    """Read a number of seconds; return None for anything else, such as the date form of ``Retry-After``."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _error_item(status: int, body: Any) -> Mapping[str, Any] | None:
    """
    Find the error in either envelope: flat, or wrapped in ``data`` (where it also hides in a 2xx).

    Each request is for only one object, so the first error is the error.
    """
    if not isinstance(body, Mapping):
        return None
    wrapped = body.get("data")
    items = [body, *(wrapped if isinstance(wrapped, list) else [])]
    mappings = [item for item in items if isinstance(item, Mapping)]
    is_error = _reports_error if 200 <= status < 300 else _looks_like_error
    return next((item for item in mappings if is_error(item)), None)


def _reports_error(item: Mapping[str, Any]) -> bool:
    return item.get("status") == "error"


def _looks_like_error(item: Mapping[str, Any]) -> bool:
    """Distinguish Bigin's errors, some of which have no ``status``, from those of a proxy."""
    code, message = item.get("code"), item.get("message")
    return (
        item.get("status", "error") == "error"
        and isinstance(message, str)
        and isinstance(code, str)
        and re.fullmatch(r"[A-Za-z]\w*", code) is not None
    )


def _error_class(
    status: int, code: str | None, message: str, details: Mapping[str, Any], *, no_credits_left: bool
) -> type[BiginError]:
    if code is None:
        return BiginServerError
    error_class = _BY_CODE.get(code)
    if error_class is BiginRateLimitError:
        return _rate_limit_class(message, no_credits_left=no_credits_left)
    if error_class is not None:
        return error_class
    if code == "INVALID_DATA" and "resource_path_index" in details:
        return BiginNotFoundError  # the complaint is about a part of the URL: the record's id
    if status >= 500:
        return BiginServerError
    return _BY_STATUS.get(status, BiginInvalidRequestError)


def _no_such_record(request: str) -> str | None:
    """Say which record is missing; Bigin only says that "the id given seems to be invalid"."""
    record = re.search(r"/bigin/v2/(\w+)/(\d+)(/actions/send_mail|/Emails)?$", request)
    return f"No {record[1]} record {record[2]}; is the module right?" if record else None


def _rate_limit_class(message: str, *, no_credits_left: bool) -> type[BiginRateLimitError]:
    """Choose between limits that share one code; only the unstable wording distinguishes them."""
    words = message.lower()
    if "concurrency" in words:
        return BiginRateLimitError
    if no_credits_left or "credit" in words or "24 hour" in words:
        return BiginCreditLimitError
    return BiginRateLimitError


def _text_or_none(value: Any, limit: int = MAX_EXCERPT_LENGTH) -> str | None:
    return (excerpt(value, limit) or None) if isinstance(value, str) else None


def _short(value: Any) -> Any:
    """Shorten a value from a response; anything other than text or a number is only for people to read."""
    if isinstance(value, str):
        return excerpt(value)
    return value if value is None or isinstance(value, (int, float)) else quoted(value)


def _longest(*seconds: float | None) -> float | None:
    return max((value for value in seconds if value is not None), default=None)
