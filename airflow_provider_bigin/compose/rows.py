"""Rows: what tells them apart, which fields they may set, and the drafts built from them."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from datetime import date, time, timedelta
from decimal import Decimal
from difflib import get_close_matches
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.records import RecordRef, read_record
from airflow_provider_bigin.api.text import quoted
from airflow_provider_bigin.compose.arguments import MAIL_FIELDS, compose_draft
from airflow_provider_bigin.compose.attachments import read_files, read_images

if TYPE_CHECKING:
    from airflow_provider_bigin.api.files import File
    from airflow_provider_bigin.compose.messages import Completion
    from airflow_provider_bigin.compose.templates import RowTemplates
    from airflow_provider_bigin.delivery.message import Draft

#: Levels of nesting that are compared to tell rows apart.
MAX_DEPTH = 30
#: Similarity from which a key counts as a misspelled field: ``subjct`` does, ``topic`` and ``id`` do not.
TYPO_SIMILARITY = 0.8
#: How many keys of rows are checked for typos, and their maximum length.
MAX_KEYS = 1000
MAX_KEY_LENGTH = 30

log = logging.getLogger(__name__)


def read_rows(mails: Any, columns: Sequence[str] = ()) -> list[Any]:
    """
    Read the rows that an upstream task or a callable returned.

    :param columns: names for the values of rows that are lists, such as rows from a database.
    :raises BiginValidationError: if these are not rows.
    """
    if isinstance(mails, Iterable) and not isinstance(mails, (str, bytes, bytearray, Mapping)):
        return [_named(row, columns) for row in mails]
    hint = "; pass the upstream task's output itself, not a template" if isinstance(mails, str) else ""
    raise BiginValidationError(f"mails: expected a list of rows, got {type(mails).__name__}{hint}")


def _named(row: Any, columns: Sequence[str]) -> Any:
    """Name the values of a row that is a list; leave one of the wrong length as it is, to fail alone."""
    is_list = isinstance(row, (list, tuple)) and columns
    return dict(zip(columns, row, strict=True)) if is_list and len(row) == len(columns) else row


def find_typos(rows: Iterable[Any]) -> list[tuple[str, str]]:
    """Return the keys of rows that look like misspelled mail fields, each with the likely field."""
    keys = {key for row in rows if type(row) is dict for key in row if isinstance(key, str)}
    names = {key: re.sub(r"[\W_]+", "_", key.strip().lower()) for key in islice(keys, MAX_KEYS)}
    likely = {
        key: get_close_matches(name, MAIL_FIELDS, 1, TYPO_SIMILARITY)
        for key, name in names.items()
        if key not in MAIL_FIELDS and len(name) <= MAX_KEY_LENGTH
    }
    return sorted((key, fields[0]) for key, fields in likely.items() if fields)


class SingleMail:
    """
    The batch of a task that sends one mail.

    :param draft: the mail.
    :param completion: makes the requests that the mail needs.
    """

    def __init__(self, draft: Draft, completion: Completion) -> None:
        self._draft = draft
        self.locate, self.complete, self.renew = completion.locate, completion, completion.renew

    def __len__(self) -> int:
        return 1

    def row(self, position: int) -> str:
        """Describe the mail by its record and people: a change in either makes it a different mail."""
        mail = self._draft.mail
        people = {address.email.casefold() for address in (*mail.to, *mail.cc, *mail.bcc)}
        return canonical((self._draft.record, people))

    def record(self, position: int) -> RecordRef | None:
        """Return the record, unless it has to be searched for."""
        return self._draft.record if isinstance(self._draft.record, RecordRef) else None

    def draft(self, position: int) -> Draft:
        """Return the mail."""
        return self._draft


class RowBatch:
    """
    The batch of a task that sends a mail for each row.

    The contents of a row are data: only the operator's subject and content are templates.

    :param rows: one row per mail.
    :param arguments: the operator's :data:`MAIL_FIELDS`, for what a row does not set.
    :param files: files that the operator attaches if a row names none.
    :param images: images that the operator shows if a row names none.
    :param templates: the operator's subject and content.
    :param row_fields: which of :data:`MAIL_FIELDS` rows may set.
    :param files_root: directory or URL prefix below which rows may name files.
    :param completion: makes the requests that the mails need.
    """

    def __init__(
        self,
        rows: Sequence[Any],
        arguments: Mapping[str, Any],
        files: Sequence[File],
        images: Mapping[str, File],
        templates: RowTemplates,
        *,
        row_fields: Collection[str],
        files_root: str | os.PathLike[str] | None,
        completion: Completion,
    ) -> None:
        for key, field in find_typos(rows):
            log.warning(
                "mails: rows have the key %s, which is not a field; did you mean %s?", quoted(key), field
            )
        self._rows = rows
        self._arguments = arguments
        self._files = files
        self._images = images
        self._templates = templates
        self._row_fields = frozenset(row_fields)
        self._files_root = files_root
        self.locate, self.check = completion.locate, completion.check
        self.complete, self.renew = completion, completion.renew

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, position: int) -> str:
        """Describe a row by its contents, so that it is recognized whatever its position."""
        return canonical(self._rows[position])

    def record(self, position: int) -> RecordRef | None:
        """Return the record that a row names, if any."""
        try:
            fields = {**self._arguments, **self._rows[position]}
            return read_record(fields["module"], fields["record_id"])
        except Exception:  # the row may be anything; building its draft reports what is wrong
            return None

    def draft(self, position: int) -> Draft:
        """
        Build the mail of a row.

        :raises BiginValidationError: if it is not a valid row, or sets a field that it may not set.
        :raises Exception: whatever an odd value in it leads to.
        """
        row = self._rows[position]
        if not isinstance(row, Mapping):
            hint = "; name its values in the operator's columns" if isinstance(row, (list, tuple)) else ""
            raise BiginValidationError(f"mails: the row must be a dict, not {type(row).__name__}{hint}")
        named = [name for name in MAIL_FIELDS if name in row]
        forbidden = [name for name in named if name not in self._row_fields]
        if forbidden:
            raise BiginValidationError(
                f"mails: the row sets {', '.join(forbidden)}, which rows may not set; to allow it,"
                f" add it to the operator's row_fields ({', '.join(sorted(self._row_fields))})"
            )
        fields = {**self._arguments, **{name: row[name] for name in named}}
        fields |= self._templates.render(row, fields["mail_format"], leave=named)
        files, images, root = self._files, self._images, self._files_root
        if "files" in row:
            files = read_files(row["files"], root, is_data=True)
        if "images" in row:
            images = read_images(row["images"], root, is_data=True)
        return compose_draft(fields, files, images)


def canonical(value: Any) -> str:
    """
    Write a value of any kind as ASCII text that is the same in all processes.

    The order of a mapping or a set does not matter, and memory addresses are left out. A value that cannot
    be written is represented by its type alone.
    """
    return _canonical(value, ())


def _canonical(value: Any, above: tuple[int, ...]) -> str:
    if id(value) in above or len(above) > MAX_DEPTH:
        return "..."
    inner = partial(_canonical, above=(*above, id(value)))
    kind = type(value).__qualname__
    try:
        if value is None or isinstance(value, (bool, float, str)):
            return json.dumps(value)
        if isinstance(value, int):
            return hex(value)  # Python refuses to write a large one in decimal
        if isinstance(value, Mapping):
            return f"{{{','.join(sorted(f'{inner(key)}:{inner(item)}' for key, item in value.items()))}}}"
        if isinstance(value, Set):
            return f"set[{','.join(sorted(map(inner, value)))}]"
        if isinstance(value, (list, tuple)):
            return f"[{','.join(map(inner, value))}]"
        if isinstance(value, (date, time, timedelta, Decimal, UUID, os.PathLike)) or hasattr(
            value, "protocol"
        ):
            return f"{kind}({str(value)!a})"
        if getattr(value, "__dict__", None):
            return f"{kind}({inner(vars(value))})"
        return f"{kind}({re.sub(' at 0x[0-9a-fA-F]+', '', repr(value))!a})"
    except Exception:
        return kind
