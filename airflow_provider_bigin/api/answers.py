"""
What may be believed of an answer, whoever wrote it: JSON that is not too deep, ids, and texts to quote.

Its size is limited where it is read, in :mod:`airflow_provider_bigin.api.deadline`.
"""

from __future__ import annotations

import json
from typing import Any

#: How deep an answer's lists and objects may be in each other; Bigin's are less than ten.
MAX_DEPTH = 50
#: Characters of an id, and of a text that is quoted, such as a message.
MAX_TEXT_LENGTH = 500


def parse_json(content: bytes) -> Any:
    """
    Decode JSON.

    :raises ValueError: if it is not JSON, or deeper than whoever works on it can bear.
    """
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError("too deep") from None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return value
    raise ValueError("too deep")


def id_or_none(value: Any) -> str | None:
    """Return what can be an id; None if it is not a text, empty, long or not printable."""
    is_id = isinstance(value, str) and 0 < len(value) <= MAX_TEXT_LENGTH and value.isprintable()
    return value if is_id else None


def one_line(value: Any, limit: int = MAX_TEXT_LENGTH) -> str:
    """Return a text as it may be quoted: in one line, not longer than that, without control characters."""
    text = str(value)
    shown = "".join(character if character.isprintable() else " " for character in text[:limit])
    return " ".join(shown.split()) + ("..." if len(text) > limit else "")
