"""
The status of a mail, as Bigin's list of its record's e-mails shows it.

See https://www.zoho.com/crm/developer/docs/api/v8/get-email-rel-list.html
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_bigin.api.emails import email_pages
from airflow_provider_bigin.api.errors import BiginError, BiginValidationError, Sent
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.api.text import excerpt, quoted

if TYPE_CHECKING:
    from airflow_provider_bigin.api.client import BiginClient

log = logging.getLogger(__name__)

SENT, OPENED, BOUNCED = "sent", "opened", "bounced"


class BiginMailBouncedError(BiginError):
    """A mail was sent and came back."""

    sent: ClassVar[Sent] = "yes"


def parse_statuses(value: Any) -> tuple[str, ...]:
    """
    Read the states to wait for: one as text, or several.

    :raises BiginValidationError: if there are none.
    """
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Collection) or not values or not all(isinstance(one, str) for one in values):
        raise BiginValidationError(
            f"status: {quoted(value)} is not a valid state of a mail, such as 'sent' or 'opened', or a list"
            " of states"
        )
    return tuple(sorted({one.strip().lower() for one in values}))


def parse_message_id(value: Any) -> str:
    """
    Read the id of a mail.

    :raises BiginValidationError: if there is none, such as when a task returned nothing.
    """
    text = str(value or "").strip()
    if not text or text == "None":
        raise BiginValidationError(f"message_id: {quoted(value)} is not a valid id of a mail")
    return text


def look_for_status(
    client: BiginClient, module: str, record_id: str, message_id: str, status: Collection[str]
) -> str | None:
    """
    Check once whether a mail has reached one of some states.

    Transient errors (a lost connection, a rate limit) are logged and count as "not yet".

    :param client: reads the record's e-mails.
    :param module: module of the record that the mail is filed under.
    :param record_id: id of that record.
    :param message_id: id of the mail.
    :param status: the states, as :func:`parse_statuses` returns them.
    :return: the state, or None if the mail has not reached any of them yet.
    :raises BiginMailBouncedError: if the mail bounced, unless that is one of the states.
    :raises BiginError: if the record's e-mails cannot be read, now or later.
    """
    try:
        entry = find_email(client, RecordRef(module, record_id), message_id)
    except BiginError as error:
        if not error.retryable:
            raise
        log.warning("The status of mail %s could not be read this time: %s", message_id, error)
        return None
    if entry is None:
        log.info("Mail %s is not among the e-mails of %s %s yet.", message_id, module, record_id)
        return None
    return judge(entry, status)


def find_email(client: BiginClient, record: RecordRef, message_id: str) -> Mapping[str, Any] | None:
    """Find a mail in its record's list, reading no further than necessary."""
    pages = email_pages(client, record)
    emails = (email for page in pages for email in page.emails)
    return next((email.raw for email in emails if email.message_id == message_id), None)


def judge(entry: Mapping[str, Any], wanted: Collection[str]) -> str | None:
    """
    Return which of the wanted states a mail has reached, or None.

    :raises BiginMailBouncedError: if the mail bounced, unless that is wanted.
    """
    history = _history(entry)
    states = {_state(item) for item in history}
    if OPENED in states:
        states.add(SENT)
    bounce = next((item for item in history if _state(item) == BOUNCED), None)
    if bounce is not None and BOUNCED not in wanted:
        raise BiginMailBouncedError(f"the mail {entry.get('message_id')} bounced: {bounce_reason(bounce)}")
    reached = states.intersection(wanted)
    log.info("The mail is %s.", excerpt(", ".join(sorted(states))) or "in an unknown state")
    return min(reached) if reached else None


def bounce_reason(bounce: Mapping[str, Any]) -> str:
    """Say why a mail bounced, in Bigin's words."""
    parts = (bounce.get("bounced_reason"), bounce.get("category"), bounce.get("sub_category"))
    reason, *kinds = (excerpt(str(part)) if part else "" for part in parts)
    kind = ", ".join(filter(None, kinds))
    return (f"{reason} ({kind})" if reason and kind else reason or kind) or "Bigin gives no reason"


def _history(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    history = entry.get("status")
    return [item for item in history if isinstance(item, Mapping)] if isinstance(history, list) else []


def _state(item: Mapping[str, Any]) -> str:
    return excerpt(str(item.get("type") or "")).lower()
