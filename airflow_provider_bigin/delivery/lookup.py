"""
Look for mails that may have been sent, among the e-mails of their records.

To call a mail absent takes positive evidence: a list of a known shape that was read to its end or past the
time in question, after that time was over, and nothing in it that could be the mail.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import ceil, floor
from typing import ClassVar, NamedTuple, TypeVar

from airflow_provider_bigin.api.client import BiginClient
from airflow_provider_bigin.api.emails import (
    SCHEDULED_VIEW,
    VIEWS,
    Email,
    EmailList,
    email_pages,
    list_emails,
)
from airflow_provider_bigin.api.errors import BiginError
from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.identity import Digests, Marker, Name, find_markers
from airflow_provider_bigin.delivery.policy import Evidence
from airflow_provider_bigin.delivery.state import Window

log = logging.getLogger(__name__)

#: Seconds after a request's deadline during which a mail may still be on its way into the list.
SETTLING = 60.0
#: Seconds between the first looks; the last look comes when the time in question is over.
PAUSES = (3.0, 15.0)
#: Seconds by which the list's times may be off; those on the full minute may be rounded.
TIME_TOLERANCE = 60.0
#: Maximum number of seconds by which all times of a list are off if it shows them in another time zone.
ZONE_ERROR = 14 * 3600.0
#: ``Date`` headers have whole seconds, and lists may be some seconds off.
CLOCK_TOLERANCE = 5.0
#: Maximum number of seconds to wait for the end of a stored window; connections time out within an hour.
MAX_WAIT = 4600.0
#: Seconds, in either direction, by which our clock may differ from Bigin's if that cannot be read.
CLOCK_SKEW = 300.0
#: How far back, in seconds, a mail counts as recent; and the maximum number of pages and mails read, and of
#: seconds spent, to find one.
RECENT = 900.0
RECENT_PAGES = 10
RECENT_MAILS = 10
RECENT_TIME = 10.0


@dataclass(frozen=True)
class Found:
    """The mail is there. If ``by_marker``, nothing else could be mistaken for it."""

    message_id: str
    by_marker: bool

    evidence: ClassVar[Evidence] = "found"

    def __str__(self) -> str:
        how = "its marker" if self.by_marker else "its subject, recipients and time"
        return f"The mail was sent (message_id {self.message_id}); it was found by {how}."


@dataclass(frozen=True)
class Absent:
    """The list shows nothing that could be the mail."""

    evidence: ClassVar[Evidence] = "absent"

    def __str__(self) -> str:
        return "The mail is not among its record's e-mails."


@dataclass(frozen=True)
class InDoubt:
    """The list is inconclusive; ``reason`` follows a "because"."""

    reason: str

    evidence: ClassVar[Evidence] = "in doubt"

    def __str__(self) -> str:
        return f"It is unknown whether the mail was sent, because {self.reason.rstrip('.')}."


@dataclass(frozen=True)
class Unreadable:
    """The list cannot be read now but may be readable later."""

    error: BiginError

    evidence: ClassVar[Evidence] = "unreadable"

    def __str__(self) -> str:
        reason = self.error.code or self.error.message
        return f"The record's e-mails cannot be read at the moment ({reason})."


Verdict = Found | Absent | InDoubt | Unreadable


class Suspect(NamedTuple):
    """
    A mail that may be in its record's list.

    :param record: record that it is filed under.
    :param subject: digest, like the next three.
    :param people: recipients that a list shows.
    :param content: content without the marker.
    :param scheduled: time for which it is scheduled, if any.
    :param window: when it was sent, if it was.
    :param markers: markers that identify it with certainty.
    :param old_markers: markers that identify it or an earlier send of it.
    :param is_marked: whether it carries a marker.
    :param has_intent: whether it has an intent; otherwise an earlier try may have sent it without a trace.
    """

    record: RecordRef
    subject: str
    people: tuple[str, ...]
    content: str
    scheduled: str | None
    window: Window
    markers: frozenset[Marker] = frozenset()
    old_markers: frozenset[Marker] = frozenset()
    is_marked: bool = True
    has_intent: bool = True


def suspect_of(mail: Mail, record: RecordRef, window: Window, digests: Digests) -> Suspect:
    """Describe a mail as its record's list would show it."""
    return Suspect(
        record,
        digests.subject(mail.subject),
        digests.people(address.email for address in (*mail.to, *mail.cc)),
        digests.content(mail.content),
        digests.scheduled(mail),
        window,
    )


@dataclass
class Scene:
    """
    What is known besides the lists.

    :param digests: digests of this go.
    :param task: half of the marker that all mails of this task share.
    :param own_markers: markers of other open mails of this go.
    :param claims: ids of mails that are known to be other sends.
    :param has_all_claims: whether no such id is missing.
    :param is_first_go: whether a matching e-mail may be taken for a mail with an unknown past.
    """

    digests: Digests
    task: str
    own_markers: frozenset[Marker] = frozenset()
    claims: set[str] = field(default_factory=set)
    has_all_claims: bool = True
    is_first_go: bool = False


class Sighting(NamedTuple):
    """An entry of a list that could be a mail, with its content if that can be read."""

    email: Email
    content: str | None = None
    markers: frozenset[Marker] = frozenset()


Mapper = Callable[[Callable[[RecordRef], None], Iterable[RecordRef]], Iterable[None]]
Key = TypeVar("Key")


def settle(
    client: BiginClient,
    suspects: Mapping[Name, Suspect],
    scene: Scene,
    *,
    each: Mapper = map,
) -> dict[Name, Verdict]:
    """
    Look for mails until they are found, or until they can no longer appear in the lists.

    :param client: reads the lists.
    :param suspects: mails that may have been sent.
    :param scene: what else is known; mails that are found are added to its claims.
    :param each: ``map``, or a variant that makes several calls at a time.
    """
    until = max(suspect.window[1] for suspect in suspects.values()) + CLOCK_TOLERANCE
    until = min(until, bigin_time(client) + MAX_WAIT)
    verdicts: dict[Name, Verdict] = {}
    pauses = [*PAUSES]
    while True:
        remaining = until - bigin_time(client)
        left = {name: suspect for name, suspect in suspects.items() if name not in verdicts}
        looked = look(client, left, scene, each=each)
        found = {name: verdict for name, verdict in looked.items() if isinstance(verdict, Found)}
        verdicts |= found
        scene.claims |= {verdict.message_id for verdict in found.values()}
        if remaining <= 0 or len(verdicts) == len(suspects):
            return {
                name: InDoubt("the time in which it may be sent is far from over, so a clock must be wrong")
                if isinstance(verdict, Absent) and suspects[name].window[1] > until
                else verdict
                for name, verdict in {**looked, **verdicts}.items()
            }
        # Bigin's time comes from headers of whole seconds, and may step back by one.
        client.clock.sleep(min(pauses.pop(0), remaining) if pauses else max(remaining, 1.0))


def look(
    client: BiginClient, suspects: Mapping[Name, Suspect], scene: Scene, *, each: Mapper = map
) -> dict[Name, Verdict]:
    """Look once, reading each record's list and the content of each relevant mail only once."""
    verdicts: dict[Name, Verdict] = {}
    names_of: defaultdict[RecordRef, list[Name]] = defaultdict(list)
    for name, suspect in suspects.items():
        names_of[suspect.record].append(name)

    def look_at(record: RecordRef) -> None:
        of_record = {name: suspects[name] for name in names_of[record]}
        try:
            emails, sightings = _read(client, record, of_record.values(), scene)
        except BiginError as error:
            verdicts.update(dict.fromkeys(of_record, unread(error)))
        else:
            gap = emails.gap or _time_gap(emails, client)
            verdicts.update(_judge_all(of_record, sightings, scene, gap=gap))

    for _ in each(look_at, names_of):
        pass
    return _without_shared_finds(verdicts)


def _judge_all(
    suspects: Mapping[Name, Suspect], sightings: Collection[Sighting], scene: Scene, *, gap: str | None
) -> dict[Name, Verdict]:
    """Judge all mails of a record; an entry that is one of them is not another, so judge those again."""
    verdicts: dict[Name, Verdict] = {}
    while True:
        left = {name: suspects[name] for name in suspects if not isinstance(verdicts.get(name), Found)}
        judged = {name: judge(suspect, sightings, scene, gap=gap) for name, suspect in left.items()}
        judged = _without_shared_finds(judged)
        verdicts |= judged
        found = {verdict.message_id for verdict in judged.values() if isinstance(verdict, Found)}
        if not found:
            return verdicts
        sightings = [sighting for sighting in sightings if sighting.email.message_id not in found]


def judge(suspect: Suspect, sightings: Iterable[Sighting], scene: Scene, *, gap: str | None) -> Verdict:
    """
    Judge a mail by what a list shows.

    :param gap: why the list cannot prove that something is absent, if it cannot.
    """
    agreeing: list[str] = []
    doubts: list[str] = []
    for email, content, markers in sightings:
        if suspect.markers & markers and email.message_id:
            return Found(email.message_id, by_marker=True)
        if suspect.old_markers & markers:
            doubts.append("an earlier send of it is there, which may be from before the task was cleared")
            continue
        if any(marker.task == scene.task for marker in markers):
            is_other = suspect.has_intent or markers <= scene.own_markers
            if not is_other and _shares_people(suspect, email, scene.digests):
                doubts.append("its record has a mail of this task that could be it")
            continue
        agreement = _agreement(suspect, email, content, scene.digests)
        if markers:
            # A mail of another task, or of something that looks like one.
            if agreement == "full":
                doubts.append("its record has an e-mail that is identical except for the marker")
        elif agreement == "full" and email.message_id:
            agreeing.append(email.message_id)
        elif agreement:
            doubts.append("its record has an e-mail that resembles it, but not in every respect")
    if len(agreeing) > 1:
        return InDoubt(f"its record has {len(agreeing)} e-mails from that time that could be it")
    if agreeing and not suspect.has_intent and not scene.is_first_go:
        return InDoubt("its record has an e-mail that could be it, or one that was requested before")
    if agreeing and not scene.has_all_claims:
        return InDoubt("its record has an e-mail that could be it, or an earlier one whose id is lost")
    if agreeing and gap:
        return InDoubt(gap)
    if agreeing:
        return Found(agreeing[0], by_marker=False)
    if doubts or gap:
        return InDoubt((doubts or [str(gap)])[0])
    return Absent()


def unread(error: BiginError) -> Verdict:
    """Judge a mail whose list cannot be read, now or at all."""
    if error.retryable:
        return Unreadable(error)
    return InDoubt(f"its record's e-mails cannot be read: {error}")


def find_recent(client: BiginClient, record: RecordRef, mail: Mail, marker: Marker) -> str | None:
    """
    Return the id of a recent e-mail of a record that carries a marker, or None if none is seen.

    This is quick, but no proof that there is none: in a busy record, not all mails are looked at.

    :param mail: the mail that would carry the marker; those with its subject are looked at first.
    :raises BiginError: if the e-mails cannot be read, or not in time.
    """
    from airflow_provider_bigin.api.deadline import time_limit

    since, subject = client.clock.time() - RECENT, client.outgoing(mail).subject
    views = (SCHEDULED_VIEW, *VIEWS) if mail.scheduled_time else VIEWS
    with time_limit(RECENT_TIME):
        pages = islice(email_pages(client, record, views=views, horizon=since), RECENT_PAGES)
        recent = [
            email
            for page in pages
            for email in page.emails
            if email.is_sent and email.message_id and (email.time is None or email.time >= since)
        ]
        recent.sort(key=lambda email: email.subject != subject)
        for email in recent[:RECENT_MAILS]:
            content = _content(client, record, email.message_id or "")
            if content and marker in find_markers(content, marker.task):
                return email.message_id
    return None


def bigin_time(client: BiginClient) -> float:
    """Return the time by Bigin's clock, or by ours if Bigin's is not available."""
    time = client.server_time()
    return client.clock.time() if time is None else time


def new_window(client: BiginClient, *, lease: float) -> Window:
    """
    Return when, by Bigin's clock, a mail posted within a lease appears in the list, in whole seconds.

    :param lease: length of the lease, in seconds.
    """
    skew = CLOCK_SKEW if client.server_time() is None else 0.0
    now = bigin_time(client)
    return float(floor(now - skew)), float(ceil(now + lease + client.timeout + SETTLING + skew))


def _read(
    client: BiginClient, record: RecordRef, suspects: Collection[Suspect], scene: Scene
) -> tuple[EmailList, list[Sighting]]:
    """Read a record's list, and the content of the entries that could be one of the mails."""
    horizon = min(suspect.window[0] for suspect in suspects) - ZONE_ERROR - TIME_TOLERANCE
    views = (SCHEDULED_VIEW, *VIEWS) if any(suspect.scheduled for suspect in suspects) else VIEWS
    emails = list_emails(client, record, views=views, horizon=horizon)
    sightings = []
    can_read = True
    for email in emails.emails:
        could_be = (
            email.is_sent
            and email.message_id not in scene.claims
            and any(_shares_something(suspect, email, scene.digests) for suspect in suspects)
        )
        if not could_be:
            continue
        content = None
        if can_read and email.message_id:
            try:
                content = _content(client, record, email.message_id)
            except BiginError as error:
                if error.retryable:
                    raise
                can_read = False  # this account's API cannot read single mails
        sightings.append(
            Sighting(email, content, find_markers(content, scene.task) if content else frozenset())
        )
    return emails, sightings


def _content(client: BiginClient, record: RecordRef, message_id: str) -> str | None:
    email = client.get_email(record.module, record.id, message_id)
    content = (email or {}).get("content")
    return content if isinstance(content, str) else None


def _agreement(suspect: Suspect, email: Email, content: str | None, digests: Digests) -> str | None:
    """
    Return whether an entry without our marker could be the mail: ``full``, ``partial``, or not at all.

    Zoho may rewrite the content, so different content only rules out an entry that differs in something else,
    too. If neither a marker nor the content can be compared, the list's time zone may be wrong as well.
    """
    when = _when(suspect, email, digests)
    if not _shares_something(suspect, email, digests):
        return None
    lacks_its_marker = suspect.is_marked and content is not None
    if when == "far" or (when == "near" and lacks_its_marker):
        return None
    has_subject = bool(email.subject) and digests.subject(email.subject or "") == suspect.subject
    people = None if email.people is None else digests.people(email.people)
    has_people = people == suspect.people
    is_content = None if content is None else digests.content(content) == suspect.content
    is_then = when == "then" or (when == "rounded" and not lacks_its_marker)
    if has_subject and has_people and is_then and is_content is not False:
        return "full"
    could_be_then = when in ("then", "rounded", "unknown")
    if is_content is False:
        could_be = has_subject and (has_people or people is None)
        return "partial" if could_be and could_be_then else None
    if is_content or could_be_then:
        return "partial"
    return "partial" if has_subject and has_people else None


def _when(suspect: Suspect, email: Email, digests: Digests) -> str:
    """
    Return how an entry's time fits: ``then``, ``rounded``, ``near``, ``far``, or ``unknown``.

    ``rounded`` means rounded to the minute; ``near`` means as in another time zone.
    """
    if email.time is None:
        return "unknown"
    if suspect.scheduled and digests.time(email.time) == suspect.scheduled:
        return "then"
    since, until = suspect.window
    if since - CLOCK_TOLERANCE <= email.time <= until + CLOCK_TOLERANCE:
        return "then"
    if email.time % 60 == 0 and since - CLOCK_TOLERANCE - TIME_TOLERANCE <= email.time <= since:
        return "rounded"
    return "near" if since - ZONE_ERROR <= email.time <= until + ZONE_ERROR else "far"


def _shares_something(suspect: Suspect, email: Email, digests: Digests) -> bool:
    """Return whether an entry has a mail's subject or one of its recipients, or lacks its recipients."""
    if email.subject and digests.subject(email.subject) == suspect.subject:
        return True
    return email.people is None or _shares_people(suspect, email, digests)


def _shares_people(suspect: Suspect, email: Email, digests: Digests) -> bool:
    return email.people is None or not set(digests.people(email.people)).isdisjoint(suspect.people)


def _time_gap(emails: EmailList, client: BiginClient) -> str | None:
    """Return the gap if the list's times do not agree with Bigin's clock."""
    tolerance = CLOCK_SKEW if client.server_time() is None else TIME_TOLERANCE
    sent = [email for email in emails.emails if email.is_sent and not _is_still_scheduled(email)]
    if any((email.time or 0.0) > bigin_time(client) + tolerance for email in sent):
        return "the list of its record's e-mails shows times in the future"
    return None


def _is_still_scheduled(email: Email) -> bool:
    history = email.raw.get("status")
    states = history if isinstance(history, list) else []
    return any(isinstance(state, Mapping) and state.get("type") == "scheduled" for state in states)


def _without_shared_finds(verdicts: dict[Name, Verdict]) -> dict[Name, Verdict]:
    """
    Turn finds of one entry by several sends into doubts, unless a marker tells them apart.

    One entry cannot be two mails.
    """
    finds = Counter(verdict.message_id for verdict in verdicts.values() if isinstance(verdict, Found))
    return {
        name: InDoubt("another send of this task matches the same e-mail")
        if isinstance(verdict, Found) and not verdict.by_marker and finds[verdict.message_id] > 1
        else verdict
        for name, verdict in verdicts.items()
    }
