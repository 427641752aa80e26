"""What became of one of many mails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from airflow_provider_bigin.api.errors import BiginError

Status = Literal["sent", "already_sent", "failed", "unknown", "skipped"]
STATUSES: tuple[Status, ...] = ("sent", "already_sent", "failed", "unknown", "skipped")

#: Characters kept of the text of an error.
MAX_DETAIL_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    What became of one of many mails.

    ``sent`` by this try, ``already_sent`` by an earlier one, ``failed`` and surely not sent, ``unknown``, or
    ``skipped`` because the run ended before its turn. ``error`` is Bigin's code or the name of an error
    class; ``is_retryable`` tells that a later try may do better.
    """

    status: Status
    record_id: str | None = None
    message_id: str | None = None
    error: str | None = None
    detail: str | None = None
    is_retryable: bool = False

    @property
    def is_delivered(self) -> bool:
        """Whether the mail is out, by whichever try."""
        return self.status in ("sent", "already_sent")

    @classmethod
    def of_error(cls, status: Status, error: Exception, record_id: str | None = None) -> Outcome:
        """Say why a mail is not out."""
        return cls(
            status,
            record_id,
            error=getattr(error, "code", None) or type(error).__name__,
            detail=_text(error)[:MAX_DETAIL_LENGTH],
            is_retryable=isinstance(error, BiginError) and error.retryable,
        )


def _text(error: Exception) -> str:
    try:
        text = str(error)
    except Exception:  # the text of an error may hold a value that cannot be printed
        return type(error).__name__
    return text.encode(errors="backslashreplace").decode()  # nor can a lone surrogate be written to a file
