"""Cursors for paging: 96 hexadecimal digits that only the list they came from takes back."""

from __future__ import annotations

import hashlib


def seal(of: str, *position: int) -> str:
    """Return a cursor.

    :param of: the list it belongs to.
    :param position: two numbers, the place in that list.
    """
    plain = "".join(f"{number:016x}" for number in position)
    return _signature(of, plain) + plain


def unseal(of: str, cursor: str) -> tuple[int, int] | None:
    """Return the position in a cursor; None if it is not one of this list."""
    signature, plain = cursor[:64], cursor[64:]
    if len(plain) != 32 or signature != _signature(of, plain):
        return None
    return int(plain[:16], 16), int(plain[16:], 16)


def _signature(of: str, plain: str) -> str:
    return hashlib.sha256(f"{of}:{plain}".encode()).hexdigest()
