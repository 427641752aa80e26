"""The invisible mark by which a mail is recognised among a record's e-mails."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import replace

from airflow_provider_bigin.api.mail import MAX_CONTENT_LENGTH, Mail

_MARKER = re.compile(r"\bm-[0-9a-f]{32}\b")


def make_marker(key: str, identity: Sequence[str | int]) -> str:
    """
    Make the mark of one send: the same for all its tries, another after the task was cleared. It tells
    nothing to who lacks the key.

    :param key: a secret that lives as long as the connection.
    :param identity: DAG, run, task, map index, epoch and, for one of many mails, the row.
    """
    text = json.dumps(list(identity), ensure_ascii=False)
    return f"m-{hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]}"


def with_marker(mail: Mail, marker: str, *, in_text: bool = False) -> Mail:
    """
    Put the mark into a mail: as the class of an empty element, which no mail client shows.

    A ``text`` mail has no place where it would not be seen and stays without, unless asked for; so does a
    mail that is full.

    :param in_text: add it to a ``text`` mail, as a last line that the reader sees.
    """
    if mail.mail_format == "html":
        content = _before_end_of_body(mail.content, f'<span class="{marker}"></span>')
    elif in_text:
        content = f"{mail.content}\n\n[{marker}]"
    else:
        return mail
    return replace(mail, content=content) if len(content) <= MAX_CONTENT_LENGTH else mail


def find_markers(content: str) -> set[str]:
    """Return all marks that a mail's content bears."""
    return set(_MARKER.findall(content))


def _before_end_of_body(html: str, element: str) -> str:
    # Not by lower(), which lengthens some letters, such as the Turkish İ.
    ends = [match.start() for match in re.finditer("</body", html, re.IGNORECASE)]
    return html[: ends[-1]] + element + html[ends[-1] :] if ends else html + element
