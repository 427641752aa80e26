"""Find the one record that has an address."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from airflow_provider_bigin.api.errors import BiginNotFoundError
from airflow_provider_bigin.api.records import RecordRef, RecordSearch, read_record

if TYPE_CHECKING:
    from airflow_provider_bigin.hooks.bigin import BiginHook


def find_record(hook: BiginHook, search: RecordSearch) -> RecordRef:
    """
    Find the record of a module that has an e-mail address in any of its fields.

    :raises BiginNotFoundError: if no record has it, or several do.
    :raises BiginError: if the search fails. It needs the scope ``ZohoSearch.securesearch.READ``.
    """
    # It does not matter whether there are more than two.
    found = list(islice(hook.search_records(search.module, email=search.email, fields="id"), 2))
    if len(found) != 1:
        number = "several records have" if found else "no record has"
        raise BiginNotFoundError(
            f"to: {number} the address {search.email} in {search.module}; name the record_id"
        )
    return read_record(search.module, found[0].get("id"))
