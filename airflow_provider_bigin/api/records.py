"""The record that a mail is filed under: known, or still to be found; and how its id and module are read."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.text import quoted

#: The modules that can send mail, by the name in the API and by the name on Bigin's pages.
MODULES = {
    "contacts": "Contacts",
    "accounts": "Accounts",
    "companies": "Accounts",
    "pipelines": "Pipelines",
    "deals": "Pipelines",
}

#: Maximum characters that are read of a record's URL.
MAX_ADDRESS_LENGTH = 2000


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

    def __str__(self) -> str:
        return f"the one of {self.module} with the address {self.email}"


def read_record(module: Any, record_id: Any) -> RecordRef:
    """
    Read what people write for a record's module and id.

    :raises BiginValidationError: naming the one that cannot be read.
    """
    return RecordRef(parse_module(module), parse_record_id(record_id))


def parse_record_id(value: Any) -> str:
    """
    Read the id of a record.

    It is digits, as text or as the int that native rendering turns them into, or the last long number of the
    URL that Bigin shows.

    :raises BiginValidationError: for anything else. A path never gets into a request's URL, and a float has
        already lost digits.
    """
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**25
    text = str(value).strip() if is_number or isinstance(value, str) else ""
    if re.match(r"https?://", text):
        text = (re.findall(r"(?<![0-9])[0-9]{15,25}(?![0-9])", text[:MAX_ADDRESS_LENGTH]) or [""])[-1]
    if not re.fullmatch(r"[0-9]{1,25}", text):
        raise BiginValidationError(
            f"record_id: {quoted(value)} is not a valid record id; it must be a number of 18 or 19 digits,"
            " given as text, such as '5000000000000000101', or the record's URL in Bigin, which ends with it"
        )
    return text


def parse_module(value: Any) -> str:
    """
    Return the API name of a module, given that name or the one on Bigin's pages.

    :raises BiginValidationError: if mails cannot be sent from such a module.
    """
    try:
        return MODULES[str(value).strip().lower()]
    except Exception:  # it is unknown, or cannot be converted to text
        raise BiginValidationError(
            f"module: {quoted(value)} is not a module that can send mail; use Contacts, Companies (Accounts)"
            " or Deals (Pipelines)"
        ) from None
