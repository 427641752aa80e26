"""
The inbox: web pages that show the mails that arrived.

A mail may contain anything. Its body is a separate document, shown in a frame with ``sandbox=""`` and under a
policy that runs and loads nothing; everything else is escaped by the templates.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import re
import sqlite3
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from jinja2 import Environment, FileSystemLoader

from airflow_provider_bigin.sandbox import files, mails, seed
from airflow_provider_bigin.sandbox.state import Sandbox, SandboxOfRequest

router = APIRouter()

MAILS_PER_PAGE = 50

_FOLDER = Path(__file__).parent / "templates"
_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
)

_COMMON_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
BODY_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)

_IMAGE = re.compile(r"[^\"'\s<>]{0,200}/crm/viewInLineImage\?fileContent=([0-9a-f]{1,200})")


def _unconnected(html: str) -> str:
    """
    Rename link elements, and frames, which could contain links in another form.

    No policy stops ``<link rel=preconnect>``, which would tell a server that the mail was opened.
    """
    return re.sub(r"<(?=(?:link|iframe)\b)", "<x-", html, flags=re.IGNORECASE)


_TEMPLATES.filters["unconnected"] = _unconnected


@router.head("/")
async def knock() -> Response:
    """Respond to a liveness check; the ``Date`` header carries the sandbox's time."""
    return Response()


@router.get("/")
async def inbox(sandbox: SandboxOfRequest, page: int = 1, search: str | None = None) -> Response:
    """
    Show a page of the list and, beside it, its newest mail.

    :param search: only mails with this text; None hides the search field and refreshes the page periodically.
    """
    rows = _page(sandbox, page, search)
    shown = rows[0] if rows else None
    return _list_with(sandbox, rows, max(page, 1), shown, chosen=False, search=search)


@router.get("/mails/{message_id}")
async def one_mail(message_id: str, sandbox: SandboxOfRequest) -> Response:
    """Show a mail and, beside it, the page of the list that contains it."""
    row = _existing(sandbox, message_id)
    newer = sandbox.store.value("SELECT count(*) FROM mail WHERE number > ?", row["number"])
    page = 1 + newer // MAILS_PER_PAGE
    return _list_with(sandbox, _page(sandbox, page), page, row, chosen=True)


@router.get("/mails/{message_id}/body")
async def body(message_id: str, sandbox: SandboxOfRequest) -> Response:
    """Show the body of a mail with everything active disabled."""
    mail = json.loads(_existing(sandbox, message_id)["mail"])
    html = _TEMPLATES.get_template("body.html").render(mail=_with_images(mail, sandbox))
    return Response(
        html, media_type="text/html", headers={**_COMMON_HEADERS, "content-security-policy": BODY_POLICY}
    )


@router.get("/mails/{message_id}/attachments/{number}")
async def attachment(message_id: str, number: int, sandbox: SandboxOfRequest) -> Response:
    """Return a mail's attachment as a download, never to be rendered here."""
    attachments = json.loads(_existing(sandbox, message_id)["mail"])["attachments"]
    file = files.find(sandbox.store, attachments[number]["id"]) if 0 <= number < len(attachments) else None
    if file is None:
        raise HTTPException(404, "no such attachment")
    answer = files.as_download(file)
    answer.headers.update({**_COMMON_HEADERS, "content-security-policy": BODY_POLICY})
    return answer


@router.get("/inbox.css")
async def style() -> Response:
    """Return the stylesheet of the pages."""
    return Response((_FOLDER / "inbox.css").read_bytes(), media_type="text/css", headers=_COMMON_HEADERS)


@router.get("/favicon.svg")
async def icon() -> Response:
    """Return the icon of the pages."""
    return Response(
        (_FOLDER / "favicon.svg").read_bytes(), media_type="image/svg+xml", headers=_COMMON_HEADERS
    )


def _with_images(mail: dict[str, Any], sandbox: Sandbox) -> dict[str, Any]:
    """Embed images into an HTML mail in place of their URLs, because the page loads nothing."""
    if mail["mail_format"] == "text":
        return mail

    def as_data(found: re.Match[str]) -> str:
        row = sandbox.store.row("SELECT name, content FROM image WHERE id = ?", found[1])
        kind = mimetypes.guess_type(row["name"])[0] if row else None
        if not row or not kind or not kind.startswith("image/"):
            return found[0]
        return f"data:{kind};base64,{base64.b64encode(row['content']).decode()}"

    return {**mail, "content": _IMAGE.sub(as_data, mail["content"] or "")}


def _page(sandbox: Sandbox, page: int, search: str | None = None) -> list[sqlite3.Row]:
    """Return the mails of a page and the first one of the next."""
    skip = (max(page, 1) - 1) * MAILS_PER_PAGE
    return mails.newest(sandbox.store, limit=MAILS_PER_PAGE + 1, skip=skip, search=search or "")


def _existing(sandbox: Sandbox, message_id: str) -> sqlite3.Row:
    row = mails.find(sandbox.store, message_id)
    if row is None:
        raise HTTPException(404, "no such mail")
    return row


def _list_with(
    sandbox: Sandbox,
    rows: list[sqlite3.Row],
    page: int,
    shown: sqlite3.Row | None,
    *,
    chosen: bool,
    search: str | None = None,
) -> Response:
    """
    Return the page: a list of mails, and one of them in full.

    :param chosen: whether the mail was requested by its id; a phone then shows it instead of the list.
    """
    now = sandbox.clock.now()
    total = mails.count(sandbox.store)
    html = _TEMPLATES.get_template("inbox.html").render(
        mails=[_shown(row, now) for row in rows[:MAILS_PER_PAGE]],
        mail=None if shown is None else _shown(shown, now),
        chosen=chosen,
        page=page,
        search=search,
        total=total,
        more=len(rows) > MAILS_PER_PAGE,
        contact=seed.RECORDS["Contacts"][0],
    )
    return Response(
        html, media_type="text/html", headers={**_COMMON_HEADERS, "content-security-policy": PAGE_POLICY}
    )


def _shown(row: sqlite3.Row, now: float) -> dict[str, Any]:
    status = mails.status(row, now)
    return {
        "message_id": row["message_id"],
        **json.loads(row["mail"]),
        "state": status[-1]["type"],
        "status": status,
        "received": datetime.fromtimestamp(row["received_at"], timezone.utc),
        "request": row["request"],
    }
