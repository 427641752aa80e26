"""
The e-mails of a record, and whether there may be more of them than the list shows.

See https://www.bigin.com/developer/docs/apis/v2/get-related-records.html and, for the entries,
https://www.zoho.com/crm/developer/docs/api/v8/get-email-rel-list.html. Neither says how Bigin itself names
the list and pages through it, so every scheme of Zoho's products is supported, and anything else is reported
as a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.answers import id_or_none
from airflow_provider_bigin.api.errors import (
    BiginError,
    BiginInvalidRequestError,
)
from airflow_provider_bigin.api.records import RecordRef, parse_module, parse_record_id

if TYPE_CHECKING:
    from airflow_provider_bigin.api.client import BiginClient

#: The views that show sent mails. In some accounts the default one (None) stays empty while the other shows
#: the mails; some accounts refuse all but the default one.
VIEWS = (None, "sent_from_crm")
#: The view of mails that are still to be sent. Read first, because it distinguishes them from received ones.
SCHEDULED_VIEW = "scheduled_in_crm"
#: Names of the list in Zoho's products.
LIST_KEYS = ("Emails", "email_related_list", "data")
#: Entries on a page, unless it says otherwise.
PAGE_LENGTH = 10
#: Maximum entries and pages read of one view.
MAX_ENTRIES = 2000
MAX_PAGES = MAX_ENTRIES // PAGE_LENGTH
#: What a page is known to say about itself.
INFO_KEYS = frozenset(
    {
        *("page", "per_page", "count", "more_records", "next_index", "prev_index", "next_page_token"),
        *("previous_page_token", "page_token_expiry", "sort_by", "sort_order"),
    }
)
UNKNOWN_SHAPE = "the list of its record's e-mails has an unknown shape"
#: The fields to request where the request must name them.
FIELDS = "message_id,subject,from,to,cc,time,sent,status,source,owner,has_attachment"


@dataclass(frozen=True)
class Email:
    """
    An e-mail as it appears in its record's list.

    :param message_id: None if the entry has none.
    :param time: in epoch seconds; None if it is missing, has no offset or cannot be read.
    :param subject: as it is shown; None if it is missing.
    :param people: addresses of To and Cc; None if they are missing or cannot be read.
    :param is_sent: False for an e-mail that was received.
    :param raw: the entry itself.
    """

    message_id: str | None
    time: float | None
    subject: str | None
    people: tuple[str, ...] | None
    is_sent: bool
    raw: dict[str, Any]


@dataclass(frozen=True)
class EmailList:
    """
    What was read of a record's e-mails.

    :param emails: each once, in the order of the list.
    :param gap: why there may be others, as the end of a sentence that begins with "It is not known, because";
        None if all were read, or all within the time range asked for.
    """

    emails: tuple[Email, ...]
    gap: str | None = None


def list_emails(
    client: BiginClient,
    record: RecordRef,
    *,
    views: Sequence[str | None] = VIEWS,
    horizon: float | None = None,
) -> EmailList:
    """
    Read the e-mails of a record.

    :param client: makes the requests.
    :param record: the record.
    :param views: which of the list's views to read, such as ``(SCHEDULED_VIEW, *VIEWS)``.
    :param horizon: how far back to read, in epoch seconds by Bigin's clock; to the end if not given.
    :raises BiginError: if the list cannot be read now, or its default view cannot be read at all.
    """
    pages = list(email_pages(client, record, views=views, horizon=horizon))
    gap = next((page.gap for page in pages if page.gap), None)
    return EmailList(tuple(email for page in pages for email in page.emails), gap)


def email_pages(
    client: BiginClient,
    record: RecordRef,
    *,
    views: Sequence[str | None] = VIEWS,
    horizon: float | None = None,
) -> Iterator[EmailList]:
    """Read the e-mails of a record page by page; otherwise like :func:`list_emails`."""
    record = RecordRef(parse_module(record.module), parse_record_id(record.id))
    known: set[str] = set()
    for view in views:
        is_shown = False
        try:
            for page in _pages_of_view(client, record, view, horizon):
                is_shown = True
                new = {_identity(email): email for email in page.emails}
                yield EmailList(tuple(new[key] for key in new if key not in known), page.gap)
                known.update(new)
        except BiginError as error:
            if view is None or is_shown or not isinstance(error, BiginInvalidRequestError):
                raise  # otherwise the account does not have the view, which says nothing about its mails


def parse_email(item: Mapping[str, Any], *, view: str | None = None) -> Email:
    """
    Read an entry of the list.

    :param item: the entry.
    :param view: the view that it is from; a mail that is scheduled is not one that was received.
    """
    subject = item.get("subject")
    return Email(
        message_id=id_or_none(item.get("message_id")),
        time=_time(item),
        subject=subject if isinstance(subject, str) else None,
        people=_people(item),
        is_sent=view == SCHEDULED_VIEW or item.get("sent") is not False,
        raw=dict(item),
    )


def single_email(answer: Any, message_id: str) -> dict[str, Any] | None:
    """
    Find an e-mail in the response to the request for it: in a list, or by itself, under any key or none.

    :param answer: the decoded response.
    :param message_id: the e-mail's id; an e-mail with another id does not match.
    """
    if not isinstance(answer, dict):
        return None
    on_its_own = answer if {"message_id", "content"} & answer.keys() else None
    found = next((answer[key] for key in LIST_KEYS if key in answer), on_its_own)
    items = [item for item in (found if isinstance(found, list) else [found]) if isinstance(item, dict)]
    return next((item for item in items if item.get("message_id", message_id) == message_id), None)


class _PageExpiredError(Exception):
    """Bigin no longer knows a page that it pointed to itself."""


def _pages_of_view(
    client: BiginClient, record: RecordRef, view: str | None, horizon: float | None
) -> Iterator[EmailList]:
    for _ in range(2):
        try:
            yield from _follow_pages(client, record, view, horizon)
            return
        except _PageExpiredError:
            continue  # from the first page again
    yield EmailList((), "the pages of its record's list of e-mails expire before they are read")


def _follow_pages(
    client: BiginClient, record: RecordRef, view: str | None, horizon: float | None
) -> Iterator[EmailList]:
    known: set[str] = set()
    times: list[float | None] = []
    positions: list[dict[str, str]] = []
    position: dict[str, str] | None = {}
    while position is not None:
        positions.append(position)
        try:
            answer = read_page(client, record, view, position)
        except BiginInvalidRequestError as error:
            if position:
                raise _PageExpiredError from error
            raise
        items, gap = read_entries(answer)
        emails = [parse_email(item, view=view) for item in items]
        new = {_identity(email) for email in emails} - known
        known |= new
        times += [email.time for email in emails]
        is_behind = horizon is not None and _oldest(times) < horizon
        position = None
        if gap is None and len(positions) > 1 and not new:
            gap = "the list of its record's e-mails announces a page that shows nothing new"
        # After two pages the order is known and not a guess.
        elif gap is None and not (is_behind and len(positions) > 1):
            position, gap = next_position(answer, len(items), is_behind=is_behind)
        if position in positions:
            position, gap = None, "the list of its record's e-mails leads back to a page already read"
        elif position and (len(times) >= MAX_ENTRIES or len(positions) >= MAX_PAGES):
            position, gap = None, f"its record has more than {MAX_ENTRIES} e-mails to look through"
        yield EmailList(tuple(emails), gap)


def read_page(
    client: BiginClient, record: RecordRef, view: str | None, position: Mapping[str, str] | None = None
) -> Any:
    """
    Read a page of one view of a record's e-mails, as Bigin returns it.

    :param position: parameters for the page, from :func:`next_position`; the first page if not given.
    """
    path = f"{record.module}/{record.id}/Emails"
    params = {**({"type": view} if view else {}), **(position or {})}
    with_fields = {**params, "fields": FIELDS}
    if client.emails_need_fields:
        return client.read(path, params=with_fields)
    try:
        return client.read(path, params=params)
    except BiginInvalidRequestError as error:
        if error.code != "REQUIRED_PARAM_MISSING":
            raise
    answer = client.read(path, params=with_fields)
    client.emails_need_fields = True
    return answer


def read_entries(answer: Any) -> tuple[list[Mapping[str, Any]], str | None]:
    """Return the entries of a page, and why they may be incomplete, as the end of a sentence."""
    if answer is None:
        return [], None
    lists = [answer[key] for key in LIST_KEYS if key in answer] if isinstance(answer, Mapping) else []
    items = [item for one in lists if isinstance(one, list) for item in one]
    mappings = [item for item in items if isinstance(item, Mapping)]
    is_known = lists and all(isinstance(one, list) for one in lists) and len(mappings) == len(items)
    return mappings, None if is_known else UNKNOWN_SHAPE


def next_position(
    answer: Any, length: int, *, is_behind: bool = False
) -> tuple[dict[str, str] | None, str | None]:
    """
    Return how to request the next page: by an index, a token or a number, whichever the page has.

    :param answer: this page.
    :param length: number of its entries.
    :param is_behind: whether any further entries are older than what is being looked for.
    :return: parameters, None if there is no next page; and why there may be one after all.
    """
    info = answer.get("info") if answer else None
    info = {} if info is None else info
    more = info.get("more_records") if isinstance(info, Mapping) else "unknown"
    if more is False:
        return None, None
    if more is not True and not (more is None and info.keys() <= INFO_KEYS):
        return None, UNKNOWN_SHAPE
    for parameter, key in (("index", "next_index"), ("page_token", "next_page_token")):
        if isinstance(info.get(key), str) and info[key]:
            return {parameter: info[key]}, None
    if more and _is_count(info.get("page")):
        return {"page": str(info["page"] + 1)}, None
    if more:
        return None, "the list of its record's e-mails announces more of them but no way to read them"
    page_length = info["per_page"] if _is_count(info.get("per_page")) else PAGE_LENGTH
    if length >= page_length and not is_behind:
        return None, "the list of its record's e-mails does not say whether it continues"
    return None, None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _oldest(times: Sequence[float | None]) -> float:
    """Return the last of times that come newest first; infinity if they do not come in that order."""
    known = [time for time in times if time is not None]
    is_newest_first = len(known) == len(times) and known == sorted(known, reverse=True)
    return known[-1] if known and is_newest_first else inf


def _identity(email: Email) -> str:
    return email.message_id or repr(email.raw)


def _people(item: Mapping[str, Any]) -> tuple[str, ...] | None:
    to = _addresses(item.get("to"))
    cc = _addresses(item.get("cc") or [])
    return None if not to or cc is None else (*to, *cc)


def _addresses(value: Any) -> tuple[str, ...] | None:
    people = value if isinstance(value, list) else [value]
    emails = [person.get("email") if isinstance(person, Mapping) else None for person in people]
    known = tuple(email for email in emails if isinstance(email, str) and email)
    return known if len(known) == len(emails) else None


def _time(item: Mapping[str, Any]) -> float | None:
    text = item.get("time") or item.get("sent_time")
    if not isinstance(text, str):
        return None
    # Only newer Python versions parse these: Z, and an offset without a colon.
    text = re.sub(r"[zZ]$", "+00:00", re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time.utcoffset() is None else time.timestamp()
