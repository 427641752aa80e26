"""
What ``probe`` asks an account: each question that Bigin's documentation leaves open is a function.

The answers are meant to be pasted into an issue. They contain nothing from the account but numbers, and names
and codes of the API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_bigin.api.client import FROM_ADDRESSES_KEYS, BiginClient
from airflow_provider_bigin.api.emails import (
    LIST_KEYS,
    SCHEDULED_VIEW,
    VIEWS,
    Email,
    email_pages,
    next_position,
    parse_email,
    read_entries,
)
from airflow_provider_bigin.api.errors import BiginError
from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.cli.check import Verdict as ScopeVerdict
from airflow_provider_bigin.delivery.identity import Digests, Marker, find_markers
from airflow_provider_bigin.delivery.lookup import CLOCK_SKEW, Absent, Found, InDoubt, Verdict

if TYPE_CHECKING:
    from airflow_provider_bigin.hooks.bigin import BiginHook

#: Maximum names that are shown of one of Bigin's objects.
MAX_NAMES = 40

#: What is not possible without a scope.
WITHOUT = {
    "ZohoBigin.send_mail.all.CREATE": "No mail can be sent.",
    "ZohoBigin.settings.emails.READ": "Each mail, or the connection, has to name its sender.",
    "ZohoBigin.Files.CREATE": "Nothing can be attached.",
    "ZohoBigin.modules.READ": "A mail whose answer is lost stays in doubt.",
    "ZohoSearch.securesearch.READ": "Each mail has to name its record.",
    "ZohoBigin.users.READ": "The Test button cannot test anything.",
    "ZohoBigin.org.READ": "A daily limit is checked again every hour, not at midnight.",
}
BY_LOOKS = "Mails are recognized by subject, recipients and time; two with the same ones are in doubt."


class Answer(NamedTuple):
    """
    The answer to a question.

    :param told: what the account shows.
    :param meaning: what this means for the delivery of its mails; empty if nothing.
    """

    told: str
    meaning: str = ""


@dataclass(frozen=True)
class Account:
    """
    An account.

    :param hook: makes the requests.
    :param granted: whether each scope is granted.
    """

    hook: BiginHook
    granted: Mapping[str, ScopeVerdict]


@dataclass(frozen=True)
class Listing:
    """
    The list of a record's e-mails.

    :param client: makes the requests.
    :param record: the record.
    :param pages: the first page of each view, or the error with which it is refused.
    """

    client: BiginClient
    record: RecordRef
    pages: Mapping[str | None, Any]

    @property
    def shown(self) -> tuple[str | None, Any]:
        """
        The view that is examined, and its page: the first that shows anything, or else the default one.

        :raises BiginError: if the default view is refused, and the other shows nothing.
        """
        view = next((view for view in VIEWS if number_of(self.pages[view])), None)
        if isinstance(self.pages[view], BiginError):
            raise self.pages[view]
        return view, self.pages[view]


@dataclass(frozen=True)
class Sent:
    """
    A mail to oneself.

    :param mail: the mail, with its marker.
    :param marker: its marker.
    :param posted_at: when it was sent, in epoch seconds by Bigin's clock.
    :param message_id: its id, as returned by *Send mail*.
    :param verdict: what would be concluded if that response had been lost.
    :param seconds: how long the search took.
    :param email: its entry in the list; None if it does not appear there.
    :param content: as Bigin shows it; None if it cannot be read.
    """

    mail: Mail
    marker: Marker
    posted_at: float
    message_id: str
    verdict: Verdict
    seconds: float
    email: Email | None
    content: str | None


# ---- of an account ----


def scopes(account: Account) -> Answer:
    """Find out which scopes the token has."""
    others = {scope: verdict for scope, verdict in account.granted.items() if verdict != "granted"}
    return Answer(
        ", ".join(f"{scope} {verdict}" for scope, verdict in others.items()) or "all granted",
        " ".join(WITHOUT[scope] for scope, verdict in others.items() if verdict == "missing"),
    )


def from_addresses(account: Account) -> Answer:
    """Find out which key lists the addresses that mails may be sent from."""
    answer = account.hook.run("GET", "settings/emails/actions/from_addresses")
    keys = answer if isinstance(answer, Mapping) else ()
    key = next((key for key in FROM_ADDRESSES_KEYS if key in keys), "unknown")
    addresses = account.hook.get_from_addresses()
    if not addresses:
        return Answer(f"key {key}, none; names: {names(keys)}", WITHOUT["ZohoBigin.settings.emails.READ"])
    has_default = any(address.get("default") is True for address in addresses)
    return Answer(
        f"key {key}, {len(addresses)}, {'one' if has_default else 'none'} marked as default;"
        f" names: {names(name for address in addresses for name in address)}",
        f"A mail without a sender comes from the {'default' if has_default else 'first'} one.",
    )


def clock(account: Account) -> Answer:
    """Find out whether Bigin tells the time."""
    client = account.hook.get_conn()
    time = client.server_time()
    if time is None:
        return Answer(
            "no plausible Date",
            f"Times are by this machine's clock, which may be {CLOCK_SKEW:.0f} s off: keep it accurate.",
        )
    return Answer(
        f"Bigin's minus this machine's: {round(time - client.clock.time())} s",
        "Times are by Bigin's clock.",
    )


# ---- of the list of a record's e-mails ----


def views(listing: Listing) -> Answer:
    """Find out which views the list has, and whether they show anything."""
    default, sent, scheduled = (listing.pages[view] for view in (*VIEWS, SCHEDULED_VIEW))
    meanings = []
    if isinstance(default, BiginError):
        meanings.append("The list is not read without its default view: a lost answer leaves doubt.")
    if isinstance(sent, BiginError):
        meanings.append("Only the default view is read.")
    elif number_of(sent) and not number_of(default):
        meanings.append("The default view hides sent mails; both are read.")
    if isinstance(scheduled, BiginError):
        meanings.append("A scheduled mail whose answer is lost is not found.")
    told = [f"{view or 'default'}: {_page_told(page)}" for view, page in listing.pages.items()]
    return Answer(", ".join(told), " ".join(meanings) or "All of them are read.")


def list_key(listing: Listing) -> Answer:
    """Find out which key holds the list, and what the list says about itself."""
    _, page = listing.shown
    gap = read_entries(page)[1]
    if not isinstance(page, Mapping):
        return Answer(
            "empty" if page is None else "not an object",
            _because(gap) or "To see more, use --send-to or a default record that has e-mails.",
        )
    info = page.get("info")
    key = next((key for key in LIST_KEYS if key in page), None)
    told = [
        f"key {key or 'unknown'}, beside it: {names(name for name in page if name != key)}",
        f"info: {names(info if isinstance(info, Mapping) else ())}",
        f"fields {'have to' if listing.client.emails_need_fields else 'need not'} be named",
    ]
    return Answer("; ".join(told), _because(gap) or "The list is understood.")


def paging(listing: Listing) -> Answer:
    """Find out how the list continues."""
    view, page = listing.shown
    items, gap = read_entries(page)
    position, no_way_on = (None, gap) if gap else next_position(page, len(items))
    if no_way_on:
        return Answer("unknown", _because(no_way_on))
    if position is None:
        return Answer(
            f"one page of {len(items)}",
            "To see how a longer list continues, use a default record with more than ten e-mails.",
        )
    walk = list(islice(email_pages(listing.client, listing.record, views=(view,)), 2))
    more = sum(len(step.emails) for step in walk[1:])
    gap = next((step.gap for step in walk if step.gap), None if more else "its second page shows nothing")
    return Answer(
        f"by {names(position)}, {len(items)} and then {more}", _because(gap) or "A list is read to its end."
    )


def entries(listing: Listing) -> Answer:
    """Find out what the list says about each e-mail."""
    view, page = listing.shown
    items = read_entries(page)[0]
    if not items:
        return Answer("none")
    emails = [parse_email(item, view=view) for item in items]
    times = [email.time for email in emails if email.time is not None]
    needed = ("message_id", "time", "subject", "people")
    unread = [name for name in needed if any(getattr(email, name) is None for email in emails)]
    told = [
        names(name for item in items for name in item),
        *(
            f"{name}: {' or '.join(sorted({_kind(item.get(name)) for item in items}))}"
            for name in ("cc", "linked_record")
        ),
        f"status: {names(state for item in items for state in _states(item))}",
        f"{'newest' if times == sorted(times, reverse=True) else 'not newest'} first",
        f"{'whole minutes' if all(time % 60 == 0 for time in times) else 'to the second'}",
    ]
    return Answer(
        "; ".join(told),
        f"Unreadable: {', '.join(unread)}. Without its marker, a mail leaves doubt."
        if unread
        else "If necessary, a mail can be recognized by subject, recipients and time.",
    )


def single_mail(listing: Listing) -> Answer:
    """Find out whether a single e-mail can be read with its content."""
    view, page = listing.shown
    emails = (parse_email(item, view=view) for item in read_entries(page)[0])
    message_id = next((email.message_id for email in emails if email.message_id), None)
    if message_id is None:
        return Answer("not asked: the list shows none with an id")
    try:
        single = listing.client.get_email(listing.record.module, listing.record.id, message_id) or {}
    except BiginError as error:
        return Answer(f"refused: {refusal(error)}", BY_LOOKS)
    has_content = isinstance(single.get("content"), str)
    return Answer(
        f"{'with' if has_content else 'without'} content; {names(single)}",
        "Markers can be read; --send-to shows whether they are kept." if has_content else BY_LOOKS,
    )


# ---- of a mail to oneself ----


def entry(sent: Sent) -> Answer:
    """Find out how the list shows a mail."""
    if sent.email is None:
        return Answer(f"not seen for {sent.seconds:.0f} s")
    same = {
        "id": sent.email.message_id == sent.message_id,
        "subject": sent.email.subject == sent.mail.subject,
        "recipients": sent.email.people == tuple(address.email for address in sent.mail.to),
        "sender": _email_of(sent.email.raw.get("from")) == (sent.mail.sender and sent.mail.sender.email),
    }
    others = [name for name, is_same in same.items() if not is_same]
    time = sent.email.time
    return Answer(
        f"seen after {sent.seconds:.0f} s; changed: {', '.join(others) or 'nothing'};"
        f" its time: {'unknown' if time is None else f'{round(time - sent.posted_at)} s after it was sent'}"
    )


def content(sent: Sent) -> Answer:
    """Find out what Bigin keeps of a mail's content."""
    if sent.content is None:
        return Answer("not readable", BY_LOOKS)
    digests = Digests(sent.marker.send)
    is_kept = sent.marker in find_markers(sent.content, sent.marker.task)
    is_same = digests.content(sent.content) == digests.content(sent.mail.content)
    return Answer(
        f"marker {'kept' if is_kept else 'lost'}, the rest {'unchanged' if is_same else 'rewritten'}",
        "Markers are kept: no other e-mail is mistaken for it." if is_kept else BY_LOOKS,
    )


def lost_answer(sent: Sent) -> Answer:
    """Find out what would be concluded if the response to this mail had been lost."""
    verdict = sent.verdict
    if isinstance(verdict, Found) and verdict.by_marker:
        return Answer("found by its marker", "A lost answer is settled by proof.")
    if isinstance(verdict, Found):
        return Answer("found by subject, recipients and time", f"A lost answer is settled. {BY_LOOKS}")
    if isinstance(verdict, Absent):
        return Answer(
            "absent, although it was sent",
            'The list is not reliable, and a retry would send it again: set on_unknown_outcome="fail".',
        )
    if isinstance(verdict, InDoubt):
        # What follows a colon is Bigin's own text.
        return Answer("in doubt", _because(verdict.reason.partition(":")[0]))
    return Answer(f"not readable: {refusal(verdict.error)}", "It may be readable later.")


OF_AN_ACCOUNT: Mapping[str, Callable[[Account], Answer]] = {
    "scopes": scopes,
    "from-addresses": from_addresses,
    "clock": clock,
}
OF_A_MAIL: Mapping[str, Callable[[Sent], Answer]] = {
    "entry": entry,
    "content": content,
    "lost answer": lost_answer,
}
OF_A_LIST: Mapping[str, Callable[[Listing], Answer]] = {
    "views": views,
    "list": list_key,
    "paging": paging,
    "entries": entries,
    "single mail": single_mail,
}


# ---- wording ----


def names(found: Iterable[Any]) -> str:
    """List names of the API; anything else, such as an id or an address, is not shown."""
    known = {
        name if re.fullmatch(r"[A-Za-z]\w{0,59}", name, re.ASCII) else "(another)" for name in map(str, found)
    }
    return " ".join(sorted(known)[:MAX_NAMES]) or "none"


def refusal(error: BiginError) -> str:
    """Describe an error without its text, which may quote anything."""
    name = names([error.code or type(error).__name__])
    return name if error.status is None else f"{name} (HTTP {error.status})"


def number_of(page: Any) -> int:
    """Return how many e-mails a page shows; a refused page shows none."""
    return 0 if isinstance(page, BiginError) else len(read_entries(page)[0])


def _page_told(page: Any) -> str:
    if isinstance(page, BiginError):
        return f"refused, {refusal(page)}"
    return "not understood" if read_entries(page)[1] else f"{number_of(page)} on its first page"


def _because(gap: str | None) -> str:
    return f"A lost answer leaves doubt, because {gap}." if gap else ""


def _kind(value: Any) -> str:
    """Return the kind of a JSON value, as far as it matters."""
    kind = {type(None): "null", list: "array", dict: "object"}.get(type(value), "another")
    return kind if value or value is None else f"empty {kind}"


def _states(item: Mapping[str, Any]) -> list[Any]:
    states = item.get("status")
    return (
        [state.get("type") for state in states if isinstance(state, Mapping)]
        if isinstance(states, list)
        else []
    )


def _email_of(address: Any) -> Any:
    return address.get("email") if isinstance(address, Mapping) else None
