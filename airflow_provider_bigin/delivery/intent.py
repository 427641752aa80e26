"""
What is about to be sent, and the state of one send as the task state store keeps it.

Digests are salted rather than keyed: an intent must still be understood after the connection's secret was
replaced.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from airflow_provider_bigin.api.errors import BiginConnectionError
from airflow_provider_bigin.api.mail import Mail

#: Raised when the form of what is stored changes; what another version stored is an open intent of unknown
#: time.
VERSION = 1
#: Seconds, at most, between what an intent says of the time and the POST.
MAX_AGE = 15.0


@dataclass(frozen=True)
class Intent:
    """
    A mail as it would appear in its record's list of e-mails; subject, people and time only as digests.

    ``since`` and ``until`` are the edges, by Bigin's clock, of the time in which it left if it left.
    ``until`` is None while it is not known when the last attempt was made. Recipients are those that a list
    shows: ``to`` and ``cc``, never ``bcc``.
    """

    module: str
    record_id: str
    since: float
    until: float | None
    salt: str
    subject: str
    recipients: tuple[str, ...]
    scheduled: str | None = None
    marker: str | None = None

    @classmethod
    def of(
        cls, module: str, record_id: str, mail: Mail, *, since: float, until: float | None, marker: str | None
    ) -> Intent:
        """Describe a mail that is about to be sent."""
        salt = secrets.token_hex(8)
        return cls(
            module=module,
            record_id=record_id,
            since=since,
            until=until,
            salt=salt,
            subject=subject_digest(salt, mail.subject),
            recipients=recipients_digests(salt, (address.email for address in (*mail.to, *mail.cc))),
            scheduled=time_digest(salt, datetime.fromisoformat(mail.scheduled_time).timestamp())
            if mail.scheduled_time
            else None,
            marker=marker,
        )

    def is_for_the_people_of(self, module: str, record_id: str, mail: Mail) -> bool:
        """Tell whether a mail has the same record and recipients."""
        recipients = recipients_digests(self.salt, (address.email for address in (*mail.to, *mail.cc)))
        return (self.module, self.record_id, self.recipients) == (module, record_id, recipients)

    def as_json(self) -> dict[str, Any]:
        """Return what the store keeps; it takes lists, but no tuples."""
        return {**asdict(self), "recipients": list(self.recipients)}


def ensure_recent(since: float, now: float) -> None:
    """
    Make sure that the mail will leave in the time that its intent names: a store that took long to write it
    may have used that time up.

    :raises BiginConnectionError: if too much of it is over; nothing was sent, and it may be tried again.
    """
    if now - since > MAX_AGE:
        raise BiginConnectionError(
            f"Airflow took {now - since:.0f} s to write down what is about to be sent, so it is not sent now"
        )


@dataclass(frozen=True)
class SendState:
    """
    How far one send has come.

    ``open``: a POST may have been made and its answer is not known. ``not_sent``: the last POST surely did
    not send. ``sent``: done. ``max_tries`` is Airflow's, by which a try after a clear is told from a retry.
    ``intent`` is None where what was stored cannot be understood. ``claimed`` are the mails that earlier
    sends of this task, before it was cleared, have had.
    """

    status: Literal["open", "not_sent", "sent"]
    max_tries: int
    epoch: int
    intent: Intent | None = None
    message_id: str | None = None
    claimed: tuple[str, ...] = ()

    def not_sent(self) -> SendState:
        """The POST surely did not send."""
        return replace(self, status="not_sent")

    def sent(self, message_id: str) -> SendState:
        """The mail is out."""
        return replace(self, status="sent", intent=None, message_id=message_id)

    def as_json(self) -> dict[str, Any]:
        """Return what the store keeps."""
        return {
            "version": VERSION,
            **asdict(self),
            "intent": self.intent.as_json() if self.intent else None,
            "claimed": list(self.claimed),
        }


def read_state(stored: Any) -> SendState | None:
    """
    Understand what the store kept, or say None: then something was begun and nothing is known of it.

    :param stored: a value of the store; anything may have happened to it.
    """
    try:
        content = dict(stored)
        if content.pop("version") != VERSION or content["status"] not in ("open", "not_sent", "sent"):
            return None
        intent = content.pop("intent")
        if intent is not None:
            intent = read_intent(intent)
        claimed = tuple(str(message_id) for message_id in content.pop("claimed"))
        state = SendState(intent=intent, claimed=claimed, **content)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    whole_numbers = isinstance(state.max_tries, int) and isinstance(state.epoch, int)
    if not whole_numbers or (state.status == "sent" and not isinstance(state.message_id, str)):
        return None
    return state


def read_intent(stored: Any) -> Intent:
    """
    Understand an intent that the store kept.

    :raises AttributeError, KeyError, TypeError, ValueError: if it is none.
    """
    intent = Intent(**{**stored, "recipients": tuple(stored["recipients"])})
    texts = (intent.module, intent.record_id, intent.salt, intent.subject, *intent.recipients)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("an intent's texts are texts")
    return replace(
        intent, since=float(intent.since), until=None if intent.until is None else float(intent.until)
    )


def subject_digest(salt: str, subject: str) -> str:
    """Digest a subject; white space is folded, as mail servers do."""
    return _digest(salt, "subject", " ".join(subject.split()))


def recipients_digests(salt: str, emails: Iterable[str]) -> tuple[str, ...]:
    """Digest addresses, each by itself, in no particular order or case."""
    return tuple(sorted({_digest(salt, "recipient", email.strip().casefold()) for email in emails}))


def time_digest(salt: str, time: float) -> str:
    """Digest a point in time, to the second, in whatever zone it was written."""
    return _digest(salt, "time", str(int(time)))


def _digest(salt: str, kind: str, text: str) -> str:
    return hashlib.sha256(f"{salt}\n{kind}\n{text}".encode()).hexdigest()[:16]
