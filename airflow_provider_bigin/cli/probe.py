"""``probe``: report how an account behaves, and what that means for the delivery of its mails."""

from __future__ import annotations

import platform
import secrets
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_bigin import __version__
from airflow_provider_bigin.api.data_centers import DATA_CENTERS
from airflow_provider_bigin.api.emails import SCHEDULED_VIEW, VIEWS, parse_email, read_page
from airflow_provider_bigin.api.errors import BiginError, BiginNotFoundError
from airflow_provider_bigin.api.mail_status import find_email
from airflow_provider_bigin.api.records import RecordRef, RecordSearch, read_record
from airflow_provider_bigin.cli.check import find_scopes
from airflow_provider_bigin.cli.connections import get_hook
from airflow_provider_bigin.cli.questions import (
    OF_A_LIST,
    OF_A_MAIL,
    OF_AN_ACCOUNT,
    Account,
    Answer,
    Listing,
    Sent,
    number_of,
    refusal,
)
from airflow_provider_bigin.compose.records import find_record
from airflow_provider_bigin.delivery.identity import Digests, Marker, send_half, task_half, with_marker
from airflow_provider_bigin.delivery.lookup import Found, Scene, bigin_time, new_window, settle, suspect_of

if TYPE_CHECKING:
    from airflow_provider_bigin.hooks.bigin import BiginHook

#: Maximum contacts whose lists are read until one shows an e-mail.
MAX_CONTACTS = 5

SUBJECT = "airflow bigin probe"
CONTENT = "<p>This mail was sent by <b>airflow bigin probe</b>, to see how Bigin shows it.</p>"

Asked = TypeVar("Asked")


def probe(options: Namespace) -> None:
    """Print how the account of a connection behaves; a mail is sent only with ``--send-to``."""
    hook = get_hook(options.conn_id)
    try:
        record = _record_for(hook, options.send_to)
        granted = find_scopes(hook.get_conn())
    except BiginError as error:
        works, why = hook.test_connection()
        raise SystemExit(str(error) if works else why) from None
    except Exception as error:  # Airflow's, such as for a connection that does not exist
        raise SystemExit(str(error)) from None
    print(_heading(hook))
    _report(OF_AN_ACCOUNT, lambda: Account(hook, granted))
    if options.send_to and record:
        _report(OF_A_MAIL, lambda: send_to_oneself(hook, record, options.send_to))
    _report(OF_A_LIST, lambda: look_at_list(hook, record))


def send_to_oneself(hook: BiginHook, record: RecordRef, address: str) -> Sent:
    """Send a mail, and look for it as if the response had been lost."""
    client = hook.get_conn()
    marker = Marker(task_half([secrets.token_hex()]), send_half(secrets.token_hex()))
    mail = with_marker(hook.compose_mail(to=address, subject=SUBJECT, content=CONTENT), marker)
    digests = Digests(marker.send)
    window = new_window(client, lease=0.0)
    posted_at = bigin_time(client)
    # Not through the hook, which logs names: up to Airflow 3.0, logs are part of the output.
    message_id = client.send_mail(record.module, record.id, mail).message_id
    print(f"One mail was sent. Looking for it for up to {window[1] - window[0]:.0f} s.", file=sys.stderr)
    suspect = suspect_of(client.outgoing(mail), record, window, digests)._replace(markers=frozenset({marker}))
    begun = client.clock.monotonic()
    [verdict] = settle(client, {(SUBJECT, 1): suspect}, Scene(digests, marker.task)).values()
    seconds = client.clock.monotonic() - begun
    shown_id = verdict.message_id if isinstance(verdict, Found) else message_id
    item = _unless_refused(lambda: find_email(client, record, shown_id))
    single = _unless_refused(lambda: client.get_email(record.module, record.id, shown_id)) or {}
    content = single.get("content")
    return Sent(
        mail,
        marker,
        posted_at,
        message_id,
        verdict,
        seconds,
        parse_email(item) if item else None,
        content if isinstance(content, str) else None,
    )


def look_at_list(hook: BiginHook, record: RecordRef | None) -> Listing | None:
    """
    Read the e-mails of a record; without one, those of the most recently changed contact that has any.

    :return: None if there is no contact.
    """
    client = hook.get_conn()
    listing = None
    for candidate in [record] if record else _contacts_changed_last(hook):
        pages = {view: _first_page(hook, candidate, view) for view in (*VIEWS, SCHEDULED_VIEW)}
        listing = Listing(client, candidate, pages)
        if any(map(number_of, pages.values())):
            break
    return listing


def _record_for(hook: BiginHook, address: str | None) -> RecordRef | None:
    """Return the record to ask about, if a specific one is given or needed for a mail."""
    record = hook.settings.default_record
    if record or not address:
        return record
    try:
        return find_record(hook, RecordSearch("Contacts", address))
    except BiginNotFoundError:
        raise SystemExit(
            f"Not exactly one contact has the address {address}: add one in Bigin, or give the connection a"
            " default record."
        ) from None


def _contacts_changed_last(hook: BiginHook) -> list[RecordRef]:
    contacts = hook.get_records(
        "Contacts", fields=["id"], per_page=MAX_CONTACTS, sort_by="Modified_Time", sort_order="desc"
    )
    return [read_record("Contacts", contact.get("id")) for contact in islice(contacts, MAX_CONTACTS)]


def _first_page(hook: BiginHook, record: RecordRef, view: str | None) -> Any:
    try:
        return read_page(hook.get_conn(), record, view)
    except BiginError as error:
        return error


def _unless_refused(read: Callable[[], Mapping[str, Any] | None]) -> Mapping[str, Any] | None:
    try:
        return read()
    except BiginError:
        return None


def _report(questions: Mapping[str, Callable[[Asked], Answer]], of: Callable[[], Asked | None]) -> None:
    """Get what the questions are about, ask them, and print each answer."""
    try:
        asked = of()
    except BiginError as error:
        answers = dict.fromkeys(questions, Answer(f"not asked: {refusal(error)}"))
    else:
        answers = {name: _ask(question, asked) for name, question in questions.items()}
    for name, answer in answers.items():
        print(f"{name:15} {answer.told}")
        if answer.meaning:
            print(f"{'':15} -> {answer.meaning}")


def _ask(question: Callable[[Asked], Answer], asked: Asked | None) -> Answer:
    if asked is None:
        return Answer("not asked: there is no contact")
    try:
        return question(asked)
    except BiginError as error:
        return Answer(f"not answered: {refusal(error)}")


def _heading(hook: BiginHook) -> str:
    from airflow import __version__ as airflow_version

    domain = hook.settings.api_domain
    region = next((name for name, center in DATA_CENTERS.items() if center.api_domain == domain), "sandbox")
    return (
        f"airflow-provider-bigin {__version__}, Airflow {airflow_version},"
        f" Python {platform.python_version()}, region {region}"
    )
