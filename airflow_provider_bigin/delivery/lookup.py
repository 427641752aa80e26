"""Looking for a mail that may have been sent, among the e-mails of its record."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_bigin.api.client import BiginClient
from airflow_provider_bigin.api.emails import SCHEDULED_VIEW, VIEWS, Email, list_emails
from airflow_provider_bigin.api.errors import BiginError
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.intent import Intent, recipients_digests, subject_digest, time_digest
from airflow_provider_bigin.delivery.marker import find_markers

log = logging.getLogger(__name__)

#: Seconds after an attempt, on top of the request's timeout, for which a mail may still be on its way into
#: the list.
SETTLING_TIME = 60.0
#: Seconds between two looks; the last pause is repeated.
PAUSES = (2.0, 4.0, 8.0, 15.0)
#: ``Date`` headers and the list's times have whole seconds.
CLOCK_TOLERANCE = 2.0


@dataclass(frozen=True)
class Found:
    """The mail is there. ``by_marker`` tells that nothing else could be mistaken for it."""

    message_id: str
    by_marker: bool


@dataclass(frozen=True)
class Absent:
    """The list was read and shows nothing that could be the mail."""


@dataclass(frozen=True)
class InDoubt:
    """
    The list does not decide.

    ``reason`` continues the sentence "it cannot be told whether the mail was sent, because"; ``lasting``
    tells that another look will not say more.
    """

    reason: str
    lasting: bool = False


@dataclass(frozen=True)
class Unreadable:
    """The list could not be read now; later it may."""

    error: BiginError


Verdict = Found | Absent | InDoubt | Unreadable
Key = TypeVar("Key")


@dataclass(frozen=True)
class Entry:
    """
    One e-mail of a record, as far as it can be compared with an intent. ``markers`` is None where the content
    cannot be read.
    """

    message_id: str
    time: float | None
    subject: str
    recipients: tuple[str, ...]
    markers: frozenset[str] | None = None


def settle(
    client: BiginClient,
    intents: Mapping[Key, Intent],
    *,
    until: float,
    claimed: Collection[str] = (),
    each: Callable[[Callable[[Key], Verdict], Iterable[Key]], Iterable[Verdict]] = map,
) -> dict[Key, Verdict]:
    """
    Look for mails, several times, until they are found or have had the time to appear.

    :param client: reads the lists.
    :param intents: what may have been sent.
    :param until: time by Bigin's clock from which on what is not there will not come.
    :param claimed: ids of mails that are known to be other sends.
    :param each: ``map``, or one that makes several calls at a time.
    :return: a verdict for each.
    """
    verdicts: dict[Key, Verdict] = {}
    for pause in _pauses():
        is_last = bigin_time(client) >= until + CLOCK_TOLERANCE
        open_keys = [key for key in intents if not isinstance(verdicts.get(key), Found)]
        looked = each(lambda key: look(client, intents[key], claimed), open_keys)
        verdicts.update(zip(open_keys, looked, strict=True))
        verdicts = _without_shared_finds(verdicts)
        remaining = until + CLOCK_TOLERANCE - bigin_time(client)
        if is_last or all(_is_final(verdict) for verdict in verdicts.values()):
            break
        client.clock.sleep(max(0.0, min(pause, remaining)))
    return verdicts


def look(client: BiginClient, intent: Intent, claimed: Collection[str] = ()) -> Verdict:
    """Look once for a mail among the e-mails of its record."""
    try:
        entries = _entries_in_question(client, intent)
    except _ListIncomplete as gap:
        return InDoubt(str(gap), lasting=True)
    except BiginError as error:
        if error.retryable:
            return Unreadable(error)
        return InDoubt(f"its record's e-mails cannot be read: {error}", lasting=True)
    return judge(intent, entries, claimed)


def judge(
    intent: Intent, entries: Iterable[Entry], claimed: Collection[str] = ()
) -> Found | Absent | InDoubt:
    """
    Judge by the entries that were in the list in the time in question.

    The mark decides where it can be read. Zoho may strip it, so its absence proves nothing; but an entry with
    another mark is another send.
    """
    candidates = []
    for entry in entries:
        if intent.marker and entry.markers and intent.marker in entry.markers:
            return Found(entry.message_id, by_marker=True)
        is_other = bool(entry.markers) or entry.message_id in claimed
        if not is_other and shares_something(intent, entry):
            candidates.append(entry)
    if not candidates:
        return Absent()
    if len(candidates) == 1 and agrees(intent, candidates[0]):
        return Found(candidates[0].message_id, by_marker=False)
    if len(candidates) == 1:
        return InDoubt("its record has an e-mail of that time that resembles it, but not in everything")
    return InDoubt(f"its record has {len(candidates)} e-mails of that time that could be it")


def agrees(intent: Intent, entry: Entry) -> bool:
    """Tell whether an entry is as the intent says, in all that it says."""
    return (
        subject_digest(intent.salt, entry.subject) == intent.subject
        and recipients_digests(intent.salt, entry.recipients) == tuple(sorted(intent.recipients))
        and (intent.scheduled is None or _is_scheduled_as(intent, entry))
    )


def shares_something(intent: Intent, entry: Entry) -> bool:
    """
    Tell whether an entry could be the mail: it has its subject or one of its recipients, or tells neither.
    """
    if not entry.subject and not entry.recipients:
        return True
    has_subject = bool(entry.subject) and subject_digest(intent.salt, entry.subject) == intent.subject
    return has_subject or not set(recipients_digests(intent.salt, entry.recipients)).isdisjoint(
        intent.recipients
    )


def bigin_time(client: BiginClient) -> float:
    """Return the time by Bigin's clock, or by ours where Bigin's cannot be had."""
    time = client.server_time()
    return client.clock.time() if time is None else time


def latest_arrival(client: BiginClient) -> float:
    """Tell until when, by Bigin's clock, a request that is made now may still put its mail into the list."""
    return bigin_time(client) + client.timeout + SETTLING_TIME


class _ListIncomplete(Exception):
    """There may be e-mails that the list does not show."""


def _entries_in_question(client: BiginClient, intent: Intent) -> list[Entry]:
    """Read the entries of the time in question."""
    views = (SCHEDULED_VIEW, *VIEWS) if intent.scheduled else VIEWS
    listed = list_emails(
        client,
        RecordRef(intent.module, intent.record_id),
        views=views,
        horizon=intent.since - CLOCK_TOLERANCE,
    )
    if listed.gap:
        raise _ListIncomplete(listed.gap)
    entries = [_entry(email) for email in listed.emails if email.is_sent]
    return [
        _with_markers(client, intent, entry) if shares_something(intent, entry) else entry
        for entry in entries
        if _is_in_question(intent, entry)
    ]


def _with_markers(client: BiginClient, intent: Intent, entry: Entry) -> Entry:
    """Add the marks of a mail's content, where a single mail can be read."""
    try:
        email = client.get_email(intent.module, intent.record_id, entry.message_id)
    except BiginError as error:
        if error.retryable:
            raise
        return entry
    content = (email or {}).get("content")
    if not isinstance(content, str):
        return entry
    return Entry(
        entry.message_id, entry.time, entry.subject, entry.recipients, frozenset(find_markers(content))
    )


def _entry(email: Email) -> Entry:
    return Entry(str(email.message_id), email.time, email.subject or "", email.people or ())


def _is_in_question(intent: Intent, entry: Entry) -> bool:
    """Tell whether an entry is of the time in question; one whose time cannot be read is."""
    if entry.time is None or (intent.scheduled and _is_scheduled_as(intent, entry)):
        return True
    latest = float("inf") if intent.until is None else intent.until + CLOCK_TOLERANCE
    return intent.since - CLOCK_TOLERANCE <= entry.time <= latest


def _is_scheduled_as(intent: Intent, entry: Entry) -> bool:
    return entry.time is not None and time_digest(intent.salt, entry.time) == intent.scheduled


def _is_final(verdict: Verdict) -> bool:
    return isinstance(verdict, Found) or (isinstance(verdict, InDoubt) and verdict.lasting)


def _without_shared_finds(verdicts: dict[Key, Verdict]) -> dict[Key, Verdict]:
    """
    One entry cannot be two mails: where several sends would take the same, without a mark to tell, it is
    nobody's.
    """
    finds = Counter(verdict.message_id for verdict in verdicts.values() if isinstance(verdict, Found))
    return {
        key: InDoubt("another send of this task would be the same mail")
        if isinstance(verdict, Found) and not verdict.by_marker and finds[verdict.message_id] > 1
        else verdict
        for key, verdict in verdicts.items()
    }


def _pauses() -> Iterable[float]:
    yield from PAUSES
    while True:
        yield PAUSES[-1]
