from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sandbox_control import SandboxControl
from tests.task_instance import StateStore, TaskInstance

ADA = "5000000000000000101"


@pytest.fixture(params=["store", "no store"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore | None:
    """What survives a retry: Airflow 3.3's task state store, or nothing."""
    return StateStore(tmp_path / "state.db") if request.param == "store" else None


@pytest.fixture
def make_task(hook: Any, still_time: None) -> Any:
    """Make the operator for a mail to Ada, with changes."""
    from airflow_provider_bigin.operators.bigin import BiginSendMailOperator

    def make(**changes: Any) -> BiginSendMailOperator:
        arguments = {
            "task_id": "mail",
            "retries": 3,
            "record_id": ADA,
            "to": "Ada Lovelace <ada.lovelace@example.org>",
            "from_email": "ada@example.com",
            "subject": "Hello",
            "content": "<p>Hi</p>",
        }
        return BiginSendMailOperator(**{**arguments, **changes})

    return make


@pytest.fixture
def make_instance(make_task: Any, sandbox: SandboxControl, store: StateStore | None) -> Any:
    """Make a task instance for a mail to Ada, with changes."""
    return lambda **changes: TaskInstance(make_task(**changes), store=store, start=sandbox.now())
