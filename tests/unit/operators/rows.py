"""Rows for the bulk operator, and their results."""

from __future__ import annotations

from typing import Any

from tests.sandbox_control import SandboxControl


def people(sandbox: SandboxControl, number: int) -> list[dict[str, str]]:
    """Make rows for new contacts."""
    return [
        {"record_id": record_id, "to": f"p{index}@example.org", "name": f"Person {index}"}
        for index, record_id in enumerate(sandbox.add_contacts(number))
    ]


def statuses(instance: Any) -> list[str]:
    """Return what the last try pushed about each row."""
    return [row["status"] for row in instance.xcoms["return_value"]["rows"]]
