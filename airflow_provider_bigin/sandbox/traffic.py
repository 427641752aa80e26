"""The calls that the sandbox received: classified, counted, and logged."""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Scope

LOG_LENGTH = 2000

_NAMES = (
    (re.compile(r"/oauth/v2/token"), "token"),
    (re.compile(r"/oauth/v2/token/revoke"), "revoke"),
    (re.compile(r"/bigin/v2/settings/emails/actions/from_addresses"), "from_addresses"),
    (re.compile(r"/bigin/v2/files"), "files"),
    (re.compile(r"/bigin/v2/users(/\d+)?"), "users"),
    (re.compile(r"/bigin/v2/org"), "org"),
    (re.compile(r"/bigin/v2/[^/]+/(?P<record_id>[^/]+)/actions/send_mail"), "send_mail"),
    (re.compile(r"/bigin/v2/[^/]+/(?P<record_id>[^/]+)/Emails(/[^/]+)?"), "emails"),
    (re.compile(r"/bigin/v2/[^/]+/search"), "search"),
    (re.compile(r"/bigin/v2/(?:Contacts|Accounts|Pipelines)(/(?P<record_id>[^/]+))?"), "records"),
    (re.compile(r"/(bigin|oauth)/.*"), "other"),
)

_SECRET_HEADERS = {"authorization", "cookie", "proxy-authorization"}
_SECRET_PARAMETERS = {"token", "refresh_token", "client_secret", "code", "access_token"}


@dataclass(frozen=True)
class Call:
    """
    The API call that a request makes.

    :param name: ``send_mail``, ``token``, ``emails``, etc.
    :param record_id: the record in its path, if any.
    """

    name: str
    record_id: str | None


def call_of(path: str) -> Call | None:
    """Return the API call with this path, or None for the sandbox's own pages."""
    for pattern, name in _NAMES:
        if match := pattern.fullmatch(path):
            return Call(name, match.groupdict().get("record_id"))
    return None


class Traffic:
    """Counts and a bounded log of the calls since the last reset."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)

    def clear(self) -> None:
        """Forget everything."""
        self.counts.clear()
        self.statuses.clear()
        self.log.clear()

    def arrived(self, call: Call, scope: Scope, at: float) -> dict[str, Any]:
        """Log a request and return its log entry."""
        self.counts[call.name] += 1
        entry = {
            "at": at,
            "call": call.name,
            "record_id": call.record_id,
            "method": scope["method"],
            "path": scope["path"],
            "query": _without_secrets(parse_qsl(scope["query_string"].decode("latin-1")), _SECRET_PARAMETERS),
            "headers": _without_secrets(
                [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
                _SECRET_HEADERS,
            ),
            "status": None,
        }
        self.log.append(entry)
        return entry

    def answered(self, entry: dict[str, Any], status: int | None) -> None:
        """Log how a request ended: with a status, or None for a dropped connection."""
        entry["status"] = status
        self.statuses["dropped" if status is None else str(status)] += 1


def _without_secrets(pairs: list[tuple[str, str]], secret: set[str]) -> dict[str, str]:
    return {name: "***" if name.lower() in secret else value for name, value in pairs}
