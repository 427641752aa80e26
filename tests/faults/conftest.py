"""Fixtures for tests that run fault schedules in this process."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.delivery import store


@pytest.fixture(autouse=True)
def airflows_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore Airflow's Variables after the test, because schedules replace them."""
    for name in ("get", "set", "delete"):
        function = f"{name}_database_variable"
        monkeypatch.setattr(store, function, getattr(store, function))
