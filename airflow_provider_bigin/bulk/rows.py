"""Rows: what tells them apart, and the mail that each of them makes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.errors import BiginInvalidMailError, BiginNotFoundError
from airflow_provider_bigin.api.files import check_attachable
from airflow_provider_bigin.api.mail import Address, Mail, parse_module, parse_record_id
from airflow_provider_bigin.bulk.once_each import OnceEach
from airflow_provider_bigin.delivery.once import Letter
from airflow_provider_bigin.utils.paths import to_paths

if TYPE_CHECKING:
    from airflow_provider_bigin.bulk.templates import RowTemplates
    from airflow_provider_bigin.hooks.bigin import BiginHook

#: What a row may name of a mail, apart from subject and content.
FIELDS = (
    "record_id",
    "module",
    "to",
    "cc",
    "bcc",
    "from_email",
    "reply_to",
    "mail_format",
    "org_email",
    "scheduled_time",
    "attachments",
    "files",
)
#: Of these a mail is composed.
_MAIL_FIELDS = tuple(name for name in FIELDS if name not in ("record_id", "module", "files"))


def read_rows(mails: Any) -> list[Any]:
    """
    Read the rows that an upstream task or a callable gave.

    :raises BiginInvalidMailError: if these are no rows.
    """
    if isinstance(mails, Iterable) and not isinstance(mails, (str, bytes, bytearray, Mapping)):
        return list(mails)
    hint = "; give the upstream task's output itself, not a template" if isinstance(mails, str) else ""
    raise BiginInvalidMailError(f"mails: {type(mails).__name__} instead of a list of rows{hint}")


def row_keys(rows: Iterable[Any]) -> list[str]:
    """
    Name each row by its content, and equal rows by their order.

    So a row keeps its name when upstream puts others before it.
    """
    seen: Counter[str] = Counter()
    keys = []
    for row in rows:
        content = _digest(_canonical(row))
        keys.append(_digest(f"{content} {seen[content]}"))
        seen[content] += 1
    return keys


class RowMails:
    """
    The mails of many rows.

    What a row holds is data: only the operator's subject and content are templates.

    :param rows: one for each mail.
    :param defaults: the operator's arguments, for what a row does not name.
    :param templates: the operator's subject and content.
    :param hook: finds, uploads and knows the default sender.
    :param call: makes a call to Bigin as one of those that run at a time.
    """

    def __init__(
        self,
        rows: Sequence[Any],
        defaults: Mapping[str, Any],
        templates: RowTemplates,
        hook: BiginHook,
        call: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self.keys = row_keys(rows)
        self._rows = rows
        self._defaults = defaults
        self._templates = templates
        self._hook = hook
        self._call = call
        self._search = OnceEach(self._search_records)
        self._upload = OnceEach(self._upload_file)
        self._check_files = OnceEach(_check_files)
        self._default_sender: OnceEach[None, Address] = OnceEach(lambda _: call(lambda: hook.default_sender))

    def record_id(self, position: int) -> str | None:
        """Return the record that a row names, if it names one."""
        row = self._rows[position]
        named = {**self._defaults, **row}.get("record_id") if isinstance(row, Mapping) else None
        return None if named in (None, "") else str(named)

    def compose(self, position: int) -> Letter:
        """
        Make the mail of a row, without its attached files and the default sender.

        :raises BiginError: if the row is none, or no record belongs to it.
        """
        row, values = self._rows[position], self._values(position)
        named = {name: values[name] for name in _MAIL_FIELDS}
        mail = Mail.compose(
            **named,
            subject=row["subject"] if "subject" in row else self._templates.subject(row),
            content=row["content"]
            if "content" in row
            else self._templates.content(row, values["mail_format"]),
        )
        self._check_files((*_paths(values), len(mail.attachments)))
        module = parse_module(values["module"])
        record_id = values["record_id"]
        if record_id in (None, ""):
            return Letter(module, self._record_of(module, mail.to[0].email), mail)
        return Letter(module, parse_record_id(record_id), mail)

    def complete(self, position: int, mail: Mail) -> Mail:
        """Upload the mail's files, each once in a run, and give it a sender."""
        uploaded = [self._upload(path) for path in _paths(self._values(position))]
        mail = replace(mail, attachments=(*mail.attachments, *uploaded)) if uploaded else mail
        return mail if mail.sender else replace(mail, sender=self._default_sender(None))

    def _values(self, position: int) -> dict[str, Any]:
        row = self._rows[position]
        if not isinstance(row, Mapping):
            raise BiginInvalidMailError(f"mails: row {position} is no mapping but {type(row).__name__}")
        return {**self._defaults, **{name: row[name] for name in FIELDS if name in row}}

    def _record_of(self, module: str, email: str) -> str:
        found = self._search((module, email.casefold()))
        if len(found) == 1:
            return parse_record_id(found[0])
        number = "several records have" if found else "no record has"
        raise BiginNotFoundError(f"to: {number} the address {email} in {module}; name the row's record_id")

    def _search_records(self, who: tuple[str, str]) -> tuple[Any, ...]:
        """Return the ids of the first two records with an address; more need not be told apart."""
        module, email = who
        records = self._call(
            lambda: list(islice(self._hook.search_records(module, email=email, fields="id"), 2))
        )
        return tuple(record.get("id") for record in records)

    def _upload_file(self, path: str) -> str:
        file_id: str = self._call(lambda: self._hook.upload_files(path))[0]
        return file_id


def _paths(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(path) for path in to_paths(values["files"], "files"))


def _check_files(key: tuple[Any, ...]) -> None:
    *paths, already_attached = key
    check_attachable(to_paths(paths, "files"), already_attached=already_attached)


def _canonical(row: Any) -> str:
    """Write a row down in one way; what JSON cannot express in Python's."""
    try:
        return json.dumps(row, sort_keys=True, default=str)
    except (TypeError, ValueError):
        return repr(row)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
