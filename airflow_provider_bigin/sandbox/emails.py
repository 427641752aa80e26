"""The ``Emails`` related list of a record, and single mails."""

from __future__ import annotations

import json
import re
import sqlite3
from datetime import timedelta, timezone
from html.parser import HTMLParser
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_bigin.sandbox import mails
from airflow_provider_bigin.sandbox.answers import (
    ApiError,
    BiginResponse,
    invalid_id,
    invalid_module,
    no_content,
    page_token_expired,
    unknown_url,
)
from airflow_provider_bigin.sandbox.auth import authorize
from airflow_provider_bigin.sandbox.clock import iso
from airflow_provider_bigin.sandbox.cursors import PAGE_TOKEN_LIFETIME, seal, unseal
from airflow_provider_bigin.sandbox.records import contacts_of, find_record
from airflow_provider_bigin.sandbox.seed import MODULES, OWNER
from airflow_provider_bigin.sandbox.settings import Settings
from airflow_provider_bigin.sandbox.state import Sandbox, SandboxOfRequest

router = APIRouter(prefix="/bigin/v2/{module}/{record_id}/Emails")

PAGE = 10
_EMPTY_ELEMENT = re.compile(r"<([a-z][a-z0-9]*)>\s*</\1>")
TYPES = ("sent_from_crm", "scheduled_in_crm", "drafts", "user_emails")
# For a company: the same lists, over all its contacts.
TYPES_OF_CONTACTS = {
    "all_contacts_sent_crm_emails": "sent_from_crm",
    "all_contacts_scheduled_crm_emails": "scheduled_in_crm",
    "all_contacts_draft_crm_emails": "drafts",
}
NOTHING: dict[str, Any] = {"null": None, "array": [], "object": {}}
REWRITTEN_SENDER = {"user_name": "Airflow Sandbox", "email": "no-reply@mail.example.net"}

# A mail leaves at "sent_at"; a list shows it :lag seconds after it was added.
_IN_LIST = """record_id IN (SELECT value FROM json_each(:record_ids)) AND CASE :type
    WHEN 'scheduled_in_crm' THEN sent_at > :now AND received_at + :lag <= :now
    WHEN 'sent_from_crm' THEN sent_at + :lag <= :now AND json_extract(mail, '$.received') IS NOT 1
    WHEN 'all' THEN sent_at + :lag <= :now
    ELSE 0 END"""
_PLACE = "(SELECT sent_at, number FROM mail WHERE number = :number)"
# One row more than a page shows whether there are more pages.
_AFTER = f"""SELECT * FROM mail WHERE {_IN_LIST} AND (:number = 0 OR (sent_at, number) < {_PLACE})
    ORDER BY sent_at DESC, number DESC LIMIT {PAGE + 1} OFFSET :skip"""  # noqa: S608 - constants only
_END_OF_PAGE_BEFORE = f"""SELECT number FROM mail WHERE {_IN_LIST} AND (sent_at, number) > {_PLACE}
    ORDER BY sent_at, number LIMIT 1 OFFSET {PAGE - 1}"""  # noqa: S608 - constants only


@router.get("")
async def list_emails(module: str, record_id: str, request: Request, sandbox: SandboxOfRequest) -> Response:
    """List a record's mails, ten per page, newest first."""
    _check(module, record_id, request, sandbox)
    settings = sandbox.settings
    kind = request.query_params.get("type")
    known = (*TYPES, *TYPES_OF_CONTACTS) if module == "Accounts" else TYPES
    if kind is not None and (not settings.emails_type or kind not in known):
        raise ApiError(400, "INVALID_DATA", "invalid data", {"param_name": "type"})
    if kind is None and settings.emails_default_empty:
        return no_content()
    if settings.emails_fields_required and "fields" not in request.query_params:
        missing = {"param_name": "fields"}
        raise ApiError(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", missing)
    now = sandbox.clock.now()
    kind = kind or "all"
    list_name = f"{record_id}/{kind}"
    of_contacts = kind in TYPES_OF_CONTACTS
    place = {
        "record_ids": json.dumps(contacts_of(sandbox.store, record_id) if of_contacts else [record_id]),
        "type": TYPES_OF_CONTACTS.get(kind, kind),
        "now": now,
        "lag": settings.emails_lag,
        **_position(request, list_name, settings, now),
    }
    rows = sandbox.store.rows(_AFTER, **place)
    if not rows:
        return no_content()
    entries = [_entry(row, settings, now) for row in rows[:PAGE]]
    if settings.emails_fields_required:
        fields = request.query_params["fields"].split(",")
        entries = [{name: entry[name] for name in fields if name in entry} for entry in entries]
    answer: dict[str, Any] = {
        settings.emails_key: entries
        if settings.emails_entries == "objects"
        else [json.dumps(entry) for entry in entries]
    }
    if settings.emails_info:
        answer["info"] = _info(rows, place, sandbox, list_name, page=_page(request))
    return BiginResponse(answer)


def _position(request: Request, list_name: str, settings: Settings, now: float) -> dict[str, int]:
    """Return the mail after which a page starts, or how many of the newest mails it skips."""
    if settings.emails_paging == "page":
        return {"number": 0, "skip": PAGE * (_page(request) - 1)}
    parameter = "page_token" if settings.emails_paging == "page_token" else "index"
    cursor = request.query_params.get(parameter, "0")
    if cursor == "0":
        return {"number": 0, "skip": 0}
    position = unseal(list_name, cursor)
    if position is None:
        raise ApiError(400, "INVALID_DATA", "invalid data", {"param_name": parameter})
    number, made_at = position
    if parameter == "page_token" and now > made_at + PAGE_TOKEN_LIFETIME:
        raise page_token_expired()
    return {"number": number, "skip": 0}


def _page(request: Request) -> int:
    page = request.query_params.get("page", "1")
    return max(1, int(page)) if re.fullmatch("[0-9]{1,6}", page) else 1


def _info(
    rows: list[sqlite3.Row], place: dict[str, Any], sandbox: Sandbox, list_name: str, *, page: int
) -> dict[str, Any]:
    """
    Return the ``info`` of a page, with the way to the pages around it.

    :param rows: its mails and the first of the next page.
    """
    settings, now = sandbox.settings, int(place["now"])
    more = len(rows) > PAGE
    info = {"per_page": PAGE, "count": min(len(rows), PAGE), "more_records": more}
    if settings.emails_paging == "none":
        return {**info, "more_records": True}
    if settings.emails_paging == "page":
        return {"page": page, **info}
    before = sandbox.store.value(_END_OF_PAGE_BEFORE, **place)
    following = seal(list_name, rows[PAGE - 1]["number"], now) if more else None
    preceding = None if before is None else seal(list_name, before, now)
    if settings.emails_paging == "next_index":
        return {**info, "next_index": following, "prev_index": preceding or "0"}
    return {
        "page": page,
        **info,
        "next_page_token": following,
        "previous_page_token": preceding,
        "page_token_expiry": iso(now + PAGE_TOKEN_LIFETIME) if following else None,
    }


@router.get("/{message_id}")
async def single_mail(
    module: str, record_id: str, message_id: str, request: Request, sandbox: SandboxOfRequest
) -> Response:
    """Return one mail with its content."""
    if not sandbox.settings.single_mail:
        raise unknown_url()
    _check(module, record_id, request, sandbox)
    row = mails.find(sandbox.store, message_id)
    if row is None or row["record_id"] != record_id:
        raise invalid_id(3)
    settings = sandbox.settings
    entry = _entry(row, settings, sandbox.clock.now())
    if "time" in entry:
        entry["sent_time"] = entry.pop("time")
    mail = json.loads(row["mail"])
    content = mail["content"]
    if settings.strip_markup and content and mail["mail_format"] != "text":
        content = sanitized(content)
    if settings.content_footer:
        content = f"{content or ''}{settings.content_footer}"
    entry.update(
        {
            "content": content,
            "mail_format": mail["mail_format"] or "html",
            "reply_to": mail["reply_to"],
            # Here the size is a string, according to Zoho's SDK.
            "attachments": [{**file, "size": str(file["size"])} for file in mail["attachments"]],
        }
    )
    return BiginResponse({settings.emails_key: [entry]})


def _check(module: str, record_id: str, request: Request, sandbox: Sandbox) -> None:
    authorize(request, sandbox, f"ZohoBigin.modules.{module}.READ")
    if module not in MODULES:
        raise invalid_module()
    if find_record(sandbox.store, module, record_id) is None:
        raise invalid_id(1)


def _entry(row: sqlite3.Row, settings: Settings, now: float) -> dict[str, Any]:
    """Return a mail as the list shows it: without Bcc and content."""
    mail = json.loads(row["mail"])
    entry = {
        "message_id": row["message_id"],
        "subject": mail["subject"] and mail["subject"][: settings.emails_subject_length],
        "from": REWRITTEN_SENDER if settings.rewrite_sender else mail["from"],
        "to": _seen(mail["to"], settings),
        "cc": _seen(mail["cc"], settings) or NOTHING[settings.emails_empty],
        "time": _time(row["sent_at"], settings),
        "sent": row["sent_at"] <= now and not mail.get("received"),
        "read": False,
        "source": "individual",
        "owner": {"id": OWNER["id"], "name": OWNER["name"]},
        "has_attachment": bool(mail["attachments"]),
        "summary": None,
        "linked_record": NOTHING[settings.emails_empty],
        "status": mails.status(row, now),
    }
    return {name: value for name, value in entry.items() if name not in settings.emails_missing}


def _time(epoch: float, settings: Settings) -> str:
    shown = epoch + settings.emails_skew
    shown -= shown % settings.emails_rounding
    if settings.emails_utc_offset is None:
        return iso(shown)[: -len("+03:00")]
    return iso(shown, timezone(timedelta(hours=settings.emails_utc_offset)))


def _seen(addresses: list[dict[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    named = [{"user_name": address.get("user_name"), "email": address["email"]} for address in addresses]
    if settings.reorder_recipients:
        return [{**address, "email": address["email"].upper()} for address in reversed(named)]
    return named


def sanitized(html: str) -> str:
    """Return HTML as a strict sanitizer leaves it: without comments, attributes, and empty elements."""
    sanitizer = _Sanitizer()
    sanitizer.feed(html)
    sanitizer.close()
    clean = "".join(sanitizer.parts)
    while (shorter := _EMPTY_ELEMENT.sub("", clean)) != clean:
        clean = shorter
    return clean


class _Sanitizer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._hidden += 1
        elif tag not in ("img", "link", "meta"):  # meaningless without attributes
            self.parts.append(f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._hidden = max(0, self._hidden - 1)
        else:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)

    def handle_entityref(self, name: str) -> None:
        self.parts.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.parts.append(f"&#{name};")
