"""
What can be trusted in a response, no matter who wrote it: JSON that is not nested too deeply, and ids.

Its size is limited where it is read, in :mod:`airflow_provider_bigin.api.deadline`.
"""

from __future__ import annotations

import json
from typing import Any

#: Maximum nesting depth of a response's lists and objects; Bigin's have fewer than ten levels.
MAX_DEPTH = 50
#: Maximum characters of an id.
MAX_ID_LENGTH = 500


def parse_json(content: bytes) -> Any:
    """
    Decode JSON.

    :raises ValueError: if it is not JSON, or is nested too deeply for the code that processes it.
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
    """Return a value that can be an id; None if it is not text, or is empty, too long or not printable."""
    is_id = isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH and value.isprintable()
    return value if is_id else None
