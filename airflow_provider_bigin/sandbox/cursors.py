"""Cursors for paging: hexadecimal digits, often 96, that only the list they came from takes back."""

from __future__ import annotations

import hashlib

#: Seconds for which a ``page_token`` is good.
PAGE_TOKEN_LIFETIME = 86400


def seal(of: str, *position: int) -> str:
    """Return a cursor.

    :param of: the list it belongs to.
    :param position: numbers, the place in that list.
    """
    plain = "".join(f"{number:016x}" for number in position)
    return _signature(of, plain) + plain


def unseal(of: str, cursor: str) -> tuple[int, ...] | None:
    """Return the position in a cursor; None if it is not one of this list."""
    signature, plain = cursor[:64], cursor[64:]
    if signature != _signature(of, plain):
        return None
    return tuple(int(plain[start : start + 16], 16) for start in range(0, len(plain), 16))


def _signature(of: str, plain: str) -> str:
    return hashlib.sha256(f"{of}:{plain}".encode()).hexdigest()
