from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow import DAG

from airflow_provider_bigin.notifications import bigin


@pytest.fixture(autouse=True)
def forget() -> Any:
    """Return a function that makes this process forget what it has sent, as if it were another process."""
    bigin._sent.clear()
    return bigin._sent.clear


@pytest.fixture
def make_context() -> Any:
    """Make the context that Airflow passes to the callback of a failed task."""

    def make(task_id: str = "load", dag: Any = None, **changes: Any) -> dict[str, Any]:
        ti = SimpleNamespace(
            dag_id="report",
            task_id=task_id,
            run_id="manual__2026-11-23",
            map_index=-1,
            try_number=2,
            max_tries=2,
            state="failed",
            log_url=f"http://localhost:8080/dags/report/runs/manual__2026-11-23/tasks/{task_id}?try_number=2",
        )
        ti.__dict__.update({name: changes.pop(name) for name in list(changes) if hasattr(ti, name)})
        context = {
            "dag": dag or DAG("report", schedule=None),
            "dag_run": SimpleNamespace(dag_id="report", run_id=ti.run_id, state="running"),
            "run_id": ti.run_id,
            "ti": ti,
            "exception": ValueError("no orders"),
        }
        return {**context, **changes}

    return make
