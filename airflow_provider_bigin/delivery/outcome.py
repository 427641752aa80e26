"""What happened to one mail."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from airflow_provider_bigin.api.errors import BiginError, BiginOptedOutError
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.api.text import excerpt

Status = Literal["sent", "already_sent", "opted_out", "failed", "unknown", "skipped"]
STATUSES: tuple[Status, ...] = ("sent", "already_sent", "opted_out", "failed", "unknown", "skipped")

#: Characters kept of the text of an error.
MAX_DETAIL_LENGTH = 500
#: Characters kept of its reason, which goes to XCom for each row.
MAX_REASON_LENGTH = 250
#: An e-mail address, or the id of a record or mail.
_PERSONAL = re.compile(r"[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+|\b\d{10,}\b|\b[0-9a-f]{32,}\b")


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What happened to one mail.

    :param status: ``sent`` by this try, ``already_sent`` by an earlier one, ``opted_out`` if the contact
        wants no mail, ``failed`` and certainly not sent, ``unknown``, or ``skipped`` because the run ended
        before its turn.
    :param record: record that it is filed under, if known.
    :param message_id: id of a mail that was sent.
    :param error: why it was not sent.
    :param blocked: recipients whom Bigin left out of a mail that it accepted; known only to the try that
        sent it.
    """

    status: Status
    record: RecordRef | None = None
    message_id: str | None = None
    error: BiginError | None = None
    blocked: tuple[str, ...] = ()

    @classmethod
    def of_failure(cls, record: RecordRef | None, error: BiginError) -> Outcome:
        """Return the outcome of a mail that was certainly not sent."""
        return cls("opted_out" if isinstance(error, BiginOptedOutError) else "failed", record, error=error)

    @property
    def is_delivered(self) -> bool:
        """Whether the mail was sent, in this try or an earlier one."""
        return self.status in ("sent", "already_sent")

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing left to do: the mail was sent, or nobody wants it."""
        return self.is_delivered or self.status == "opted_out"

    @property
    def is_retryable(self) -> bool:
        """Whether a later try may succeed."""
        return self.error is not None and self.error.retryable

    @property
    def code(self) -> str | None:
        """Bigin's code for what went wrong, or the name of the error's class."""
        return (self.error.code or type(self.error).__name__) if self.error else None

    @property
    def reason(self) -> str | None:
        """What went wrong, in words that many mails may share, without addresses or ids."""
        if self.error is None:
            return None
        where = self.error.details.get("json_path") or self.error.details.get("api_name")
        origin = ", ".join(str(part) for part in (self.code, where) if part)
        sentence = _PERSONAL.sub("...", self.error.message).rstrip(".")
        return excerpt(f"{sentence} ({origin})", MAX_REASON_LENGTH)

    @property
    def detail(self) -> str | None:
        """What went wrong, in words."""
        return str(self.error)[:MAX_DETAIL_LENGTH] if self.error else None
