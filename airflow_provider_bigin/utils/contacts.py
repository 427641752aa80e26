"""Finding the contact whom an address belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_bigin.hooks.bigin import BiginHook


def find_contact(hook: BiginHook, email: str) -> tuple[str, str] | None:
    """
    Find the contact that has an e-mail address, in any of its fields.

    :return: the module and the record's id; None if no contact has the address.
    :raises BiginError: if the search fails. It needs the scope ``ZohoSearch.securesearch.READ``.
    """
    contact = next(hook.search_records("Contacts", email=email, fields="id"), None)
    return ("Contacts", str(contact["id"])) if contact else None
