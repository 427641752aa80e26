"""
What may be believed of an answer, whoever wrote it: JSON that is not too deep, and ids.

Its size is limited where it is read, in :mod:`airflow_provider_bigin.api.deadline`.
"""

from __future__ import annotations

import json
from typing import Any

#: How deep an answer's lists and objects may be in each other; Bigin's are less than ten.
MAX_DEPTH = 50
#: Characters of an id.
MAX_ID_LENGTH = 500


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
    is_id = isinstance(value, str) and 0 < len(value) <= MAX_ID_LENGTH and value.isprintable()
    return value if is_id else None
