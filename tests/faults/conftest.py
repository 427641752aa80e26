"""Fixtures for tests that run fault schedules in this process."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.delivery import store


@pytest.fixture(autouse=True)
def airflows_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give Airflow its Variables back when the test is over; schedules replace them."""
    for name in ("get", "set", "delete"):
        function = f"{name}_database_variable"
        monkeypatch.setattr(store, function, getattr(store, function))
