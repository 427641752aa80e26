"""The record that a mail is filed under: known, or still to be found."""

from __future__ import annotations

from typing import NamedTuple


class RecordRef(NamedTuple):
    """
    A record in Bigin.

    :param module: its module's name in the API.
    :param id: its id, digits as text.
    """

    module: str
    id: str

    def __str__(self) -> str:
        return f"{self.module} {self.id}"


class RecordSearch(NamedTuple):
    """
    The one record that has an e-mail address.

    :param module: name in the API of the module to search.
    :param email: the address.
    """

    module: str
    email: str
