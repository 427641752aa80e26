"""Make untrusted text fit to be shown: on one line, short, and in its real order."""

from __future__ import annotations

import re
import reprlib
from typing import Any

#: Maximum characters of a text that is quoted in an error or a notification.
MAX_EXCERPT_LENGTH = 500

#: Embeddings, overrides and isolates: with them ``gpj.exe`` reads as ``exe.jpg``.
BIDI_CONTROLS = "\u202a-\u202e\u2066-\u2069"
_BIDI_CONTROLS = re.compile(f"[{BIDI_CONTROLS}]")
#: All of category Cc, and the two separators that end lines elsewhere.
_LINE_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 100


def encodable(text: str) -> str:
    """Escape lone surrogates: Airflow neither masks nor logs text that cannot be encoded."""
    return text.encode(errors="backslashreplace").decode()


def one_line(text: str) -> str:
    """Replace line breaks and other control characters with a space, and remove what reorders text."""
    return _LINE_BREAKS.sub(" ", _BIDI_CONTROLS.sub("", encodable(text))).strip()


def excerpt(text: str, limit: int = MAX_EXCERPT_LENGTH) -> str:
    """Return the beginning of a text, on one line of at most ``limit`` characters."""
    line = one_line(text)
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def quoted(value: Any) -> str:
    """Return any value as it is quoted in an error, shortened."""
    try:
        return excerpt(_REPR.repr(value))
    except Exception:  # a number too large for Python to convert; anything that an object's repr raises
        return f"a value of type {type(value).__name__}"
