from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sandbox_control import SandboxControl
from tests.task_instance import StateStore, TaskInstance, Variables

ADA = "5000000000000000101"


@pytest.fixture(params=["store", "variables", "none"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> StateStore | None:
    """What survives a retry: Airflow 3.3's task state store, Variables, or nothing."""
    from airflow_provider_bigin.delivery import store

    if request.param == "store":
        return StateStore(tmp_path / "state.db")
    if request.param == "none":
        monkeypatch.setenv("AIRFLOW__BIGIN__STATE", "none")
        return None
    for name in ("get", "set", "delete"):  # put back when the test is over
        function = f"{name}_database_variable"
        monkeypatch.setattr(store, function, getattr(store, function))
    variables = Variables(tmp_path / "variables.db")
    variables.replace_airflows()
    return variables


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
