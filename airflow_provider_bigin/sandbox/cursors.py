"""Paging cursors: hexadecimal digits, often 96, accepted only by the list that issued them."""

from __future__ import annotations

import hashlib

#: Seconds for which a ``page_token`` is valid.
PAGE_TOKEN_LIFETIME = 86400


def seal(of: str, *position: int) -> str:
    """
    Return a cursor.

    :param of: the list it belongs to.
    :param position: numbers that give the position in that list.
    """
    plain = "".join(f"{number:016x}" for number in position)
    return _signature(of, plain) + plain


def unseal(of: str, cursor: str) -> tuple[int, ...] | None:
    """Return the position in a cursor, or None if this list did not issue it."""
    signature, plain = cursor[:64], cursor[64:]
    if signature != _signature(of, plain):
        return None
    return tuple(int(plain[start : start + 16], 16) for start in range(0, len(plain), 16))


def _signature(of: str, plain: str) -> str:
    return hashlib.sha256(f"{of}:{plain}".encode()).hexdigest()
