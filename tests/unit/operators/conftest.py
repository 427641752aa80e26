from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox_control import SandboxControl
from tests.task_instance import StateStore, TaskInstance, Variables

ADA = "5000000000000000101"


class KilledWorkerError(BaseException):
    """The worker dies here, and nothing after it runs."""


@pytest.fixture(params=["store", "variables", "none"])
def store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> StateStore | None:
    """Return what survives a retry: Airflow 3.3's task state store, Variables, or nothing."""
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


@pytest.fixture
def make_bulk_task(hook: Any) -> Any:
    """Make the operator for some rows, with changes."""
    from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator

    def make(mails: Any, **changes: Any) -> BiginBulkSendMailOperator:
        arguments = {
            "task_id": "mails",
            "retries": 3,
            "from_email": "ada@example.com",
            "subject": "Dear {{ mail.name }}",
            "content": "<p>{{ mail.name }}</p>",
        }
        return BiginBulkSendMailOperator(mails=mails, **{**arguments, **changes})

    return make


@pytest.fixture
def make_bulk_instance(make_bulk_task: Any, sandbox: SandboxControl, store: StateStore | None) -> Any:
    """Make a task instance for some rows, with changes."""
    return lambda mails, **changes: TaskInstance(
        make_bulk_task(mails, **changes), store=store, start=sandbox.now()
    )


@pytest.fixture
def kill_after(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let the worker die after this many POSTs; the responses to the last ones are never read."""
    from airflow_provider_bigin.api.client import BiginClient

    def kill(instance: TaskInstance, posts: int, *, sent: bool = True) -> None:
        request = BiginClient._request
        made = 0

        def killed(self: Any, method: str, path: str, token: Any, *, before: Any, **content: Any) -> Any:
            nonlocal made
            if not path.endswith("send_mail"):
                return request(self, method, path, token, before=before, **content)
            made += 1
            if made < posts:
                return request(self, method, path, token, before=before, **content)
            if before:
                before()
            if sent and made == posts:
                request(self, method, path, token, before=None, **content)
            raise KilledWorkerError

        with monkeypatch.context() as patch:
            patch.setattr(BiginClient, "_request", killed)
            with pytest.raises(KilledWorkerError):
                instance.run()
        for thread in threading.enumerate():
            if thread.name.startswith(("send", "prepare")):
                thread.join()
        instance.retry()

    return kill
