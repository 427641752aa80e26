from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bigin.delivery import store
from airflow_provider_bigin.delivery.attempt import TaskAttempt
from tests.unit.delivery.in_memory import Airflow, Clock


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """Airflow's storage: its task state store and its Variables."""
    airflow = Airflow(Clock())
    monkeypatch.setattr(store, "get_database_variable", airflow.values.get)
    monkeypatch.setattr(
        store, "set_database_variable", lambda key, value, description: airflow.set(key, json.loads(value))
    )
    monkeypatch.setattr(store, "delete_database_variable", airflow.delete)
    return airflow


@pytest.fixture
def make_attempt(airflow: Airflow) -> Any:
    """Make a try of a task with three retries; ``kind`` says where its state is kept."""
    stores = {
        "store": lambda: store.TaskStateStore(airflow),
        "variables": lambda: store.VariableStore(("dag", "run", "task", -1)),
        "none": store.NoStore,
    }

    def make(number: int = 1, *, kind: str = "store", **changes: Any) -> TaskAttempt:
        told = {
            "max_tries": 3,
            "clear_number": 0,
            "retries": 3,
            "run": "2026",
            "run_start": 1000.0,
            "is_inner": False,
            "is_again": False,
        }
        identity = ("dag", "run", "task", -1)
        return TaskAttempt(
            identity,
            number,
            **{**told, **changes},
            store=stores[kind](),
            ensure_wanted=airflow.ensure_wanted,
            began=lambda: 1000.0,
        )

    return make
