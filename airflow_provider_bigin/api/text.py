"""Texts that strangers wrote, made fit to be shown: in one line, short, and in their own order."""

from __future__ import annotations

import re
import reprlib
from typing import Any

#: Characters of a text that is quoted in an error or a notification.
MAX_EXCERPT_LENGTH = 500

#: Embeddings, overrides and isolates: with them ``gpj.exe`` reads as ``exe.jpg``.
BIDI_CONTROLS = "\u202a-\u202e\u2066-\u2069"
_BIDI_CONTROLS = re.compile(f"[{BIDI_CONTROLS}]")
#: All of category Cc, and the two separators that end lines elsewhere.
_LINE_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 100


def encodable(text: str) -> str:
    """Write lone surrogates as escapes: what cannot be encoded, Airflow neither masks nor logs."""
    return text.encode(errors="backslashreplace").decode()


def one_line(text: str) -> str:
    """Fold line breaks and other control characters to a space, and leave out what reorders a text."""
    return _LINE_BREAKS.sub(" ", _BIDI_CONTROLS.sub("", encodable(text))).strip()


def excerpt(text: str, limit: int = MAX_EXCERPT_LENGTH) -> str:
    """Return the beginning of a text, in one line of at most so many characters."""
    line = one_line(text)
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def quoted(value: Any) -> str:
    """Write down a value for an error, shortened, whatever it is."""
    try:
        return excerpt(_REPR.repr(value))
    except Exception:  # a number too large for Python to write down; whatever an object does
        return f"a value of type {type(value).__name__}"
