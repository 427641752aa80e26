"""Faults: what will go wrong with the next calls, and what the client sees of it."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from airflow_provider_bigin.sandbox.answers import (
    JSON_TYPE,
    ApiError,
    daily_limit,
    invalid_token,
    no_credits,
    page_token_expired,
    scope_mismatch,
    sub_concurrency,
    to_json,
    too_many_requests,
    unknown_file,
)
from airflow_provider_bigin.sandbox.settings import Settings
from airflow_provider_bigin.sandbox.traffic import Call

HTML_502 = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body><center><h1>502 Bad Gateway</h1></center><hr><center>ZGS</center></body>
</html>
"""


@dataclass
class Answer:
    """
    A complete HTTP response before it is sent.

    :param pause: seconds to wait after each byte of the body; None to send it at once.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": JSON_TYPE})
    pause: float | None = None


def throttled(settings: Settings) -> Answer:
    """Return the token endpoint's response to too many requests, in which even ``error`` is localized."""
    english = {
        "error_description": "You have made too many requests continuously."
        " Please try again after some time.",
        "error": "Access Denied",
        "status": "failure",
    }
    chinese = {
        "error_description": "您连续发出的请求过多。请稍后重试。",
        "error": "拒绝访问",
        "status": "failure",
    }
    body = chinese if settings.throttle_language == "zh" else english
    return Answer(settings.throttle_status, to_json(body))


Change = Callable[[Answer, Settings], "Answer | None"]


@dataclass(frozen=True)
class Effect:
    """
    The effect of a fault.

    :param processed: whether the request is carried out first.
    :param change: turns the real response into the one that is sent; None drops the connection.
    :param trickles: whether the fault's ``seconds`` are spent after each byte instead of before the response.
    """

    processed: bool
    change: Change
    trickles: bool = False


def _drop(answer: Answer, settings: Settings) -> None:
    return None


def _keep(answer: Answer, settings: Settings) -> Answer:
    return answer


def _truncate(answer: Answer, settings: Settings) -> Answer:
    return Answer(answer.status, answer.body[: len(answer.body) // 2], answer.headers)


def _without_content_type(answer: Answer, settings: Settings) -> Answer:
    headers = {name: value for name, value in answer.headers.items() if name != "content-type"}
    return Answer(answer.status, answer.body, headers)


def _without_message_id(answer: Answer, settings: Settings) -> Answer:
    try:
        body = json.loads(answer.body)
        body["data"][0]["details"].pop("message_id", None)
    except (ValueError, KeyError, TypeError):  # an error has none
        return answer
    return Answer(answer.status, to_json(body), answer.headers)


def _with_odd_message_id(answer: Answer, settings: Settings) -> Answer:
    return Answer(
        answer.status, re.sub(rb'("message_id": ?")', rb"\1" + b"x" * 500, answer.body), answer.headers
    )


@cache
def _large_body() -> bytes:
    """Return 100 kB of gzip that expand to 100 MB."""
    return gzip.compress(b" " * 100_000_000)


def _too_large(answer: Answer, settings: Settings) -> Answer:
    return Answer(answer.status, _large_body(), {**answer.headers, "content-encoding": "gzip"})


def _too_deep(answer: Answer, settings: Settings) -> Answer:
    return Answer(answer.status, b'{"data":' + b"[" * 200 + b"]" * 200 + b"}", answer.headers)


def _page(records: list[dict[str, str]], **info: Any) -> Change:
    body = to_json({"data": records, "info": {"more_records": True, **info}})
    return lambda answer, settings: Answer(200, body)


def _html(status: int) -> Change:
    return lambda answer, settings: Answer(status, HTML_502, {"content-type": "text/html"})


def _error(error: ApiError) -> Change:
    return lambda answer, settings: Answer(error.status, to_json(error.body))


_INTERNAL_ERROR = ApiError(500, "INTERNAL_ERROR", "Internal Server Error")
_SMTP_TROUBLE = ApiError(400, "CUSTOM_ERROR", "Connection to the SMTP server of the user failed.", item=True)

EFFECTS: dict[str, Effect] = {
    "lost_answer": Effect(True, _drop),
    "dropped": Effect(False, _drop),
    "500_before": Effect(False, _error(_INTERNAL_ERROR)),
    "500_after": Effect(True, _error(_INTERNAL_ERROR)),
    "502_html": Effect(False, _html(502)),
    "502_html_after": Effect(True, _html(502)),
    "503_before": Effect(False, _error(ApiError(503, "INTERNAL_SERVER_ERROR", "Service Unavailable"))),
    "slow": Effect(True, _keep),
    "trickle": Effect(True, _keep, trickles=True),
    "truncated": Effect(True, _truncate),
    "no_content_type": Effect(True, _without_content_type),
    "item_error": Effect(
        False,
        _error(ApiError(200, "NOT_ALLOWED", "The recipient has stopped e-mail communication.", item=True)),
    ),
    "429_concurrency": Effect(False, _error(sub_concurrency())),
    "429_credits": Effect(False, _error(no_credits())),
    "429_plain": Effect(False, _error(too_many_requests("Too many requests"))),
    "daily_limit": Effect(False, _error(daily_limit())),
    "limit_reached": Effect(False, _error(ApiError(400, "LIMIT_REACHED", "limit reached", item=True))),
    "invalid_token": Effect(False, _error(invalid_token())),
    "scope_mismatch": Effect(False, _error(scope_mismatch())),
    "unknown_file": Effect(False, _error(unknown_file(0))),
    "no_permission": Effect(False, _error(ApiError(403, "NO_PERMISSION", "permission denied"))),
    "custom_error": Effect(False, _error(_SMTP_TROUBLE)),
    "custom_error_after": Effect(True, _error(_SMTP_TROUBLE)),
    "record_locked": Effect(False, _error(ApiError(400, "RECORD_LOCKED", "record is locked", item=True))),
    "empty_200": Effect(False, lambda answer, settings: Answer(200)),
    "empty_200_after": Effect(True, lambda answer, settings: Answer(200)),
    "success_without_id": Effect(True, _without_message_id),
    "success_with_odd_id": Effect(True, _with_odd_message_id),
    "too_large": Effect(True, _too_large),
    "too_deep": Effect(True, _too_deep),
    "empty_page": Effect(False, _page([])),
    "same_page": Effect(False, _page([{"id": "1"}])),
    "same_page_token": Effect(False, _page([{"id": "1"}], next_page_token="again")),  # noqa: S106
    "page_expired": Effect(False, _error(page_token_expired())),
    "throttled": Effect(False, lambda answer, settings: throttled(settings)),
}

# For the setting ``emails_outage``. A timeout sends no response at all and is handled separately.
OUTAGES: dict[str, Effect] = {
    "500": EFFECTS["500_before"],
    "429": EFFECTS["429_concurrency"],
    "scope": EFFECTS["scope_mismatch"],
    "plan": Effect(
        False,
        _error(ApiError(400, "FEATURE_NOT_SUPPORTED", "This feature is not available in your edition.")),
    ),
    "CANNOT_PROCESS": Effect(
        False, _error(ApiError(400, "CANNOT_PROCESS", "cannot process", {"reason": "imap_sync_in_progress"}))
    ),
}


class Fault(BaseModel):
    """One fault, as requested with ``POST /sandbox/faults``."""

    model_config = ConfigDict(extra="forbid")

    on: Literal["send_mail", "token", "emails", "from_addresses", "files", "records", "users", "any"]
    fault: str
    times: int | None = Field(1, ge=1)
    skip: int = Field(0, ge=0)
    record_id: str | None = None
    seconds: float = Field(0.0, ge=0)
    retry_after: int | None = None

    @field_validator("fault")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in EFFECTS:
            raise ValueError(f"{name!r} is not one of {', '.join(EFFECTS)}")
        return name

    @property
    def effect(self) -> Effect:
        """Return what this fault does."""
        return EFFECTS[self.fault]

    @property
    def delay(self) -> float:
        """Return the seconds to wait before the response."""
        return 0.0 if self.effect.trickles else self.seconds

    def matches(self, call: Call) -> bool:
        """Return whether this fault applies to the call; a search counts as a call on records."""
        name = "records" if call.name == "search" else call.name
        return self.on in ("any", name) and self.record_id in (None, call.record_id)

    def alter(self, answer: Answer, settings: Settings) -> Answer | None:
        """Return the response to send instead of the real one, or None to drop the connection."""
        altered = self.effect.change(answer, settings)
        if altered is not None and self.retry_after is not None:
            altered = _with_retry_after(altered, self.retry_after)
        if altered is not None and self.effect.trickles:
            altered.pause = self.seconds
        return altered


def _with_retry_after(answer: Answer, seconds: int) -> Answer:
    headers = {**answer.headers, "retry-after": str(seconds)}
    try:
        body = json.loads(answer.body)
        error = body["data"][0] if "data" in body else body
        error["details"] = {**(error.get("details") or {}), "retry_after": seconds}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):  # HTML, truncated, empty
        return Answer(answer.status, answer.body, headers)
    return Answer(answer.status, to_json(body), headers)


class Faults:
    """The pending faults, in the order in which they were added."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Append a fault."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Remove all faults."""
        self._waiting.clear()

    def waiting(self) -> list[dict[str, Any]]:
        """Return the pending faults as JSON."""
        return [fault.model_dump() for fault in self._waiting]

    def take(self, call: Call) -> Fault | None:
        """Return the first fault that applies to this call and use it up once."""
        for fault in self._waiting:
            if not fault.matches(call):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
                if not fault.times:
                    self._waiting.remove(fault)
            return fault
        return None
