"""Records: one, all, and search."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_bigin.sandbox.store import Store


def find_record(store: Store, module: str, record_id: str) -> dict[str, Any] | None:
    """Return a record, or None."""
    fields = store.value("SELECT fields FROM record WHERE id = ? AND module = ?", record_id, module)
    return None if fields is None else json.loads(fields)
