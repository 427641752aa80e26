"""What identifies a mail in every try: its go, its digests, its name, and its marker."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, NamedTuple

from airflow_provider_bigin.api.images import without_images
from airflow_provider_bigin.api.mail import MAX_CONTENT_LENGTH, Mail
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.message import Batch, Draft

#: A mail's name in a go: its row's digest and a number that tells identical rows apart.
Name = tuple[str, int]
Kept = Literal["done", "open", "refused"]


class Item(NamedTuple):
    """
    One mail of a batch.

    :param row: digest of the row as it came from upstream.
    :param number: number that tells identical rows apart.
    :param mail: digest of what the reader gets; empty until it is needed.
    :param who: digest of the record and the people; empty until it is needed.
    """

    row: str
    number: int
    mail: str = ""
    who: str = ""

    @property
    def name(self) -> Name:
        """Its name in this go, from which its marker is made."""
        return self.row, self.number


# ---- which go is this? ----


def was_cleared(
    *,
    max_tries: int,
    clear_number: int,
    retries: int,
    stored_max_tries: int,
    stored_clear_number: int,
    stored_try: int,
) -> bool:
    """
    Return whether a person has cleared this task since its state was stored.

    Only a clear of the task itself changes ``max_tries``. It may not do so if ``retries`` was lowered; then
    the run's ``clear_number`` has grown, and by Airflow's own formula the first try since the clear comes
    after the one that stored the state.
    """
    first_try = first_try_since_clear(max_tries=max_tries, retries=retries)
    return max_tries != stored_max_tries or (clear_number != stored_clear_number and first_try > stored_try)


def first_try_since_clear(*, max_tries: int, retries: int) -> int:
    """Return Airflow's number of the first try since the last clear (``clear_task_instances``)."""
    return max_tries - retries + 1


# ---- digests ----


class Digests:
    """
    Digests with one salt.

    They are salted rather than keyed because they must still match after the connection's secrets are
    replaced; anyone who reads the state can guess addresses.
    """

    def __init__(self, salt: str) -> None:
        self.salt = salt

    def row(self, text: str) -> str:
        """Digest a row."""
        return self._of("row", text)

    def mail(self, draft: Draft) -> str:
        """Digest everything that the reader gets, as rendered, without the marker and the default sender."""
        return self._of("mail", text_of(draft))

    def who(self, draft: Draft) -> str:
        """Digest the record and the people, ignoring order and case."""
        return self._of("who", _text([*_record(draft), sorted(_people(draft.mail))]))

    def subject(self, text: str) -> str:
        """Digest a subject, folding whitespace as mail servers do."""
        return self._of("subject", " ".join(text.split()))

    def people(self, emails: Iterable[str]) -> tuple[str, ...]:
        """Digest each of several addresses, ignoring order and case."""
        return tuple(sorted({self._of("person", email.strip().casefold()) for email in emails}))

    def content(self, text: str) -> str:
        """Digest the content of a mail without its markers and image addresses, folding whitespace."""
        return self._of("content", " ".join(without_images(without_markers(text)).split()))

    def time(self, seconds: float) -> str:
        """Digest a point in time, to the second."""
        return self._of("time", str(int(seconds)))

    def scheduled(self, mail: Mail) -> str | None:
        """Digest the time for which a mail is scheduled, if any."""
        time = mail.scheduled_time
        return self.time(datetime.fromisoformat(time).timestamp()) if time else None

    def _of(self, kind: str, text: str) -> str:
        return digest(f"{self.salt}\n{kind}\n{text}")


def digest(text: str) -> str:
    """Digest any text to 64 bits."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def text_of(draft: Draft) -> str:
    """Write out everything that the reader gets, as the same text in every process."""
    mail = draft.mail
    files = sorted(file.name for file in (*draft.files, *draft.images.values()))
    people = [sorted(address.email.casefold() for address in some) for some in (mail.to, mail.cc, mail.bcc)]
    told = (mail.subject, mail.content, mail.mail_format, mail.scheduled_time, sorted(mail.attachments))
    return _text([*_record(draft), people, *told, files])


def description_of(batch: Batch) -> str:
    """Write out all mails of a batch; use the row of a mail that cannot be built."""
    texts = []
    for position in range(len(batch)):
        try:
            texts.append(text_of(batch.draft(position)))
        except Exception:
            texts.append(batch.row(position))
    return _text(texts)


def _record(draft: Draft) -> list[str | None]:
    # A record that has to be searched for is not known before the search, so only a named one counts.
    return [draft.record.module, draft.record.id if isinstance(draft.record, RecordRef) else None]


def _people(mail: Mail) -> set[str]:
    return {address.email.casefold() for address in (*mail.to, *mail.cc, *mail.bcc)}


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


# ---- the marker ----


class Marker(NamedTuple):
    """
    The invisible identification in a mail.

    :param task: half that all mails of a task instance share.
    :param send: half that belongs to this mail in this go.
    """

    task: str
    send: str

    def __str__(self) -> str:
        return f"m-{self.task}-{self.send}"


_HALVES = r"m-([0-9a-f]{16})-([0-9a-f]{16})"
_LAST_LINE = re.compile(rf"\[{_HALVES}\]")
# Three patterns, because the work of a single one would be quadratic in the length of the element.
_ELEMENT = re.compile(r"<span\b[^<>]*>(?:\s*</span\s*>)?", re.IGNORECASE)
_CLASS = re.compile(r"\bclass\s*=", re.IGNORECASE)
_IN_CLASS = re.compile(_HALVES, re.IGNORECASE)


def task_half(identity: Sequence[str | int]) -> str:
    """Make the half that all mails of a task instance share from its DAG, run, task, and map index."""
    return digest(_text(list(identity)))


def send_half(*parts: str | int) -> str:
    """Make the half of one mail from its go, which is random, and its name."""
    return digest(_text(list(parts)))


def with_marker(mail: Mail, marker: Marker, *, in_text: bool = False) -> Mail:
    """
    Put the marker into a mail as the class of an empty element, which no mail client shows.

    A ``text`` mail has no place to hide it and gets none unless asked for; nor does a mail that is full.

    :param in_text: add it to a ``text`` mail, as a last line that the reader sees.
    """
    if mail.mail_format == "html":
        content = _before_end_of_body(mail.content, f'<span class="{marker}"></span>')
    elif in_text:
        content = f"{mail.content}\n\n[{marker}]"
    else:
        return mail
    return replace(mail, content=content) if len(content) <= MAX_CONTENT_LENGTH else mail


def find_markers(content: str, task: str) -> frozenset[Marker]:
    """
    Return the markers in the content of a mail.

    Text that merely looks like a marker does not count; in brackets, only this task's own markers do.
    """
    elements = {marker for element in _ELEMENT.finditer(content) if (marker := _marker_of(element[0]))}
    lines = {Marker(*found) for found in _LAST_LINE.findall(content)}
    return frozenset(elements | {marker for marker in lines if marker.task == task})


def without_markers(content: str) -> str:
    """Return the content of a mail as it was before the marker was added."""
    text = _ELEMENT.sub(lambda element: "" if _marker_of(element[0]) else element[0], content)
    return _LAST_LINE.sub("", text)


def _marker_of(element: str) -> Marker | None:
    """Return the marker that an element has as a class, if any."""
    named = _CLASS.search(element)
    found = _IN_CLASS.findall(element, named.end()) if named else []
    return Marker(*found[-1]) if found else None


def _before_end_of_body(html: str, element: str) -> str:
    # Not with lower(), which lengthens some letters, such as the Turkish İ.
    ends = [match.start() for match in re.finditer("</body", html, re.IGNORECASE)]
    return html[: ends[-1]] + element + html[ends[-1] :] if ends else html + element


# ---- which item is this? ----


@dataclass
class Matched:
    """
    The items of the current rows.

    :param items: one item per row.
    :param entries: the stored entry that belongs to a row, by position.
    :param left: names of the stored entries without a row, by whom they are for; refused ones are left out.
    """

    items: list[Item] = field(default_factory=list)
    entries: dict[int, Name] = field(default_factory=dict)
    left: Mapping[str, list[Name]] = field(default_factory=dict)


def match_rows(
    rows: Sequence[str],
    stored: Mapping[Item, Kept],
    describe: Callable[[int], tuple[str, str] | None],
) -> Matched:
    """
    Match each row to its stored entry, by its row or else by its mail.

    Of identical entries, those that are done come first, then those that are open, and refused ones only when
    none of these is left.

    :param rows: digests of the rows.
    :param stored: what is known about each stored entry.
    :param describe: returns the digests of a row's mail and of whom it is for, if it can be composed; called
        only when they are needed.
    """
    matched = Matched()
    unmatched = set(range(len(rows)))
    ranked = sorted(stored, key=lambda item: (("done", "open", "refused").index(stored[item]), item.number))
    entries = {item.name: item for item in ranked}
    described: dict[int, tuple[str, str] | None] = {}

    def take(refused: bool, by: Callable[[Item], str], own: Callable[[int], str | None]) -> None:
        candidates: defaultdict[str, list[Name]] = defaultdict(list)
        for name, item in entries.items():
            if (stored[item] == "refused") == refused:
                candidates[by(item)].append(name)
        for position in sorted(unmatched) if candidates else ():
            digest_of = own(position)
            names = candidates.get(digest_of) if digest_of else None
            if names:
                matched.entries[position] = names.pop(0)
                del entries[matched.entries[position]]
                unmatched.discard(position)

    def described_mail(position: int) -> str | None:
        if position not in described:
            described[position] = describe(position)
        digests = described[position]
        return digests[0] if digests else None

    for refused in (False, True):
        take(refused, lambda item: item.row, rows.__getitem__)
        take(refused, lambda item: item.mail, described_mail)
    left: defaultdict[str, list[Name]] = defaultdict(list)
    for name, item in entries.items():
        if stored[item] != "refused" and item.who:
            left[item.who].append(name)
    matched.left = left
    used = {item.name for item in stored}
    next_number: defaultdict[str, int] = defaultdict(int)
    for position, row in enumerate(rows):
        entry = matched.entries.get(position)
        if entry and entry[0] == row:
            number = entry[1]
        else:
            while (row, next_number[row]) in used:
                next_number[row] += 1
            number = next_number[row]
            used.add((row, number))
        matched.items.append(Item(row, number, *(described.get(position) or ("", ""))))
    return matched
