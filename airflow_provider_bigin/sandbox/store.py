"""The account's data in SQLite: in memory, or in a file that outlives the process."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refresh_token (token TEXT PRIMARY KEY, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS access_token (
    token TEXT PRIMARY KEY, refresh_token TEXT NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS token_request (refresh_token TEXT NOT NULL, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS grant_code (
    code TEXT PRIMARY KEY, created_at REAL NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS record (
    id TEXT PRIMARY KEY, module TEXT NOT NULL, email TEXT, secondary_email TEXT,
    created_at REAL NOT NULL, fields TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS file (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, content_type TEXT, content BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS image (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, content_type TEXT, content BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS mail (
    number INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, record_id TEXT NOT NULL,
    received_at REAL NOT NULL, sent_at REAL NOT NULL, addressees INTEGER NOT NULL,
    mail TEXT NOT NULL, request TEXT NOT NULL, history TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS mail_of_record ON mail (record_id, sent_at);
CREATE INDEX IF NOT EXISTS mail_by_time ON mail (received_at);
"""

CLEAR = """
DELETE FROM setting;
DELETE FROM refresh_token;
DELETE FROM access_token;
DELETE FROM token_request;
DELETE FROM grant_code;
DELETE FROM record;
DELETE FROM file;
DELETE FROM image;
DELETE FROM mail;
"""


class Store:
    """
    A thin wrapper around one SQLite connection in which every statement commits by itself.

    All requests run on one event loop, so statements never overlap. Only its owner can read the file; SQLite
    gives the files that it creates beside it the same mode.

    :param path: a file, or ``:memory:``.
    """

    def __init__(self, path: str) -> None:
        if path != ":memory:":
            Path(path).touch(0o600)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)
        if path != ":memory:":
            Path(path).chmod(0o600)  # a file that already existed, now that it is known to be a sandbox's

    def execute(self, sql: str, *values: Any, **named: Any) -> sqlite3.Cursor:
        """Run one statement with positional or named values."""
        return self._db.execute(sql, named or values)

    def insert_many(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        """Run one statement for each row, all or nothing."""
        self._db.execute("BEGIN")
        try:
            self._db.executemany(sql, rows)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def rows(self, sql: str, *values: Any, **named: Any) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        return self.execute(sql, *values, **named).fetchall()

    def row(self, sql: str, *values: Any, **named: Any) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        row: sqlite3.Row | None = self.execute(sql, *values, **named).fetchone()
        return row

    def value(self, sql: str, *values: Any, **named: Any) -> Any:
        """Return the first column of the first row, or None."""
        row = self.row(sql, *values, **named)
        return None if row is None else row[0]

    def clear(self) -> None:
        """Delete everything."""
        self._db.executescript(CLEAR)

    def close(self) -> None:
        """Close the database."""
        self._db.close()
