"""The mails that the account has accepted: storing, finding, and tracking their status."""

from __future__ import annotations

import json
import secrets
import sqlite3
from typing import Any

from airflow_provider_bigin.sandbox.clock import iso
from airflow_provider_bigin.sandbox.store import Store


def new_id() -> str:
    """Return a ``message_id``."""
    return secrets.token_hex(32)


def add(
    store: Store, message_id: str, mail: dict[str, Any], request: str, received_at: float, sent_at: float
) -> None:
    """
    Store a mail.

    :param message_id: its id.
    :param mail: its fields, as :func:`as_json` shows them.
    :param request: the body of the request that brought it, unchanged.
    :param received_at: when it arrived.
    :param sent_at: when it leaves; later than ``received_at`` if it is scheduled.
    """
    store.execute(
        "INSERT INTO mail (message_id, record_id, received_at, sent_at, addressees, mail, request, history)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, '[]')",
        message_id,
        mail["record_id"],
        received_at,
        sent_at,
        len(mail["to"]) + len(mail["cc"]),
        json.dumps(mail),
        request,
    )


def find(store: Store, message_id: str) -> sqlite3.Row | None:
    """Return one mail, or None."""
    return store.row("SELECT * FROM mail WHERE message_id = ?", message_id)


def newest(
    store: Store, record_id: str | None = None, limit: int = -1, skip: int = 0, search: str = ""
) -> list[sqlite3.Row]:
    """
    Return mails, newest first.

    :param record_id: only mails of this record.
    :param limit: at most this many; -1 for all.
    :param skip: how many of the newest to leave out.
    :param search: only mails with this text in one of their fields.
    """
    return store.rows(
        "SELECT * FROM mail WHERE (? IS NULL OR record_id = ?)"
        " AND (? = '' OR EXISTS (SELECT 1 FROM json_tree(mail) WHERE instr(lower(atom), lower(?))))"
        " ORDER BY number DESC LIMIT ? OFFSET ?",
        record_id,
        record_id,
        search,
        search,
        limit,
        skip,
    )


def count(store: Store, record_id: str | None = None) -> int:
    """Return the number of mails, of one record or in total."""
    number: int = store.value(
        "SELECT count(*) FROM mail WHERE ? IS NULL OR record_id = ?", record_id, record_id
    )
    return number


def counts(store: Store) -> dict[str, int]:
    """Return the number of mails of each record."""
    return dict(tuple(row) for row in store.rows("SELECT record_id, count(*) FROM mail GROUP BY record_id"))


def addressees_since(store: Store, moment: float) -> int:
    """Return how many To and Cc addresses have been mailed since a point in time."""
    number: int = store.value("SELECT coalesce(sum(addressees), 0) FROM mail WHERE received_at >= ?", moment)
    return number


def as_json(row: sqlite3.Row, now: float) -> dict[str, Any]:
    """Return a mail as the control API shows it."""
    return {
        "message_id": row["message_id"],
        **json.loads(row["mail"]),
        "state": status(row, now)[-1]["type"],
        "received_at": row["received_at"],
        "request": json.loads(row["request"]),
    }


def status(row: sqlite3.Row, now: float) -> list[dict[str, Any]]:
    """Return the status history of a mail, oldest first, as ``status`` in Bigin's list."""
    first = {"type": "scheduled" if row["sent_at"] > now else "sent"}
    return [first, *json.loads(row["history"])]


def add_status(store: Store, row: sqlite3.Row, kind: str, reason: str | None, now: float) -> None:
    """
    Record that a mail was opened, bounced, or anything else.

    :param kind: the ``type`` of the status.
    :param reason: why it bounced.
    """
    history: list[dict[str, Any]] = json.loads(row["history"])
    if kind == "opened":
        earlier = next((entry for entry in history if entry["type"] == "opened"), None)
        history = [entry for entry in history if entry is not earlier]
        history.append(_opened(earlier, now))
    elif kind == "bounced":
        history.append(
            {
                "type": "bounced",
                "bounced_time": iso(now),
                "bounced_reason": reason or "The address does not exist.",
                "category": "hardbounce",
                "sub_category": "mailbox_unavailable",
            }
        )
    else:
        history.append({"type": kind})
    store.execute("UPDATE mail SET history = ? WHERE number = ?", json.dumps(history), row["number"])


def _opened(earlier: dict[str, Any] | None, now: float) -> dict[str, Any]:
    first_open = earlier["first_open"] if earlier else iso(now)
    times = int(earlier["count"]) if earlier else 0
    return {"type": "opened", "count": str(times + 1), "first_open": first_open, "last_open": iso(now)}
