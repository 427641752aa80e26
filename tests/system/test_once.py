"""Mails go out once, whatever happens to the worker."""

from __future__ import annotations

import psutil
import pytest

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import (
    AIRFLOW_VERSION,
    HEARTBEAT_TIMEOUT,
    IS_AIRFLOW_3,
    AirflowServer,
    Run,
    wait_for,
)

TASK = "send"


@pytest.mark.parametrize("with_supervisor", [False, True], ids=["task alone", "task and supervisor"])
def test_worker_killed_when_bigin_has_taken_the_mail(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str, with_supervisor: bool
) -> None:
    sandbox.fault("send_mail", "slow", seconds=60)
    run = airflow.trigger("send_mail", record_id=record_id)
    wait_for("Bigin takes the mail", lambda: sandbox.mails(record_id), timeout=30)
    assert len(run.ask("kept_state")) == (AIRFLOW_VERSION < (3, 3))
    task = run.process(TASK)
    victims = [task.parent(), task] if with_supervisor else [task]
    for process in victims:
        process.kill()

    assert run.wait() == "success"
    (mail,) = sandbox.mails(record_id)
    assert run.task(TASK)["try_number"] == 2
    assert run.xcom(TASK) == run.xcom(TASK, "message_id") == mail["message_id"]

    run.clear(TASK)
    assert run.wait() == "success"
    second, first = sandbox.mails(record_id)
    assert first == mail
    assert run.xcom(TASK) == second["message_id"]
    assert run.ask("kept_state") == []


def test_frozen_try_wakes_after_its_successor_has_sent(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str
) -> None:
    sandbox.fault("from_addresses", "slow", seconds=10)
    run = airflow.trigger("send_mail", record_id=record_id)
    frozen = _freeze_before_sending(run, sandbox)

    assert run.wait() == "success"
    message_id = run.xcom(TASK)
    _thaw(frozen)
    assert [mail["message_id"] for mail in sandbox.mails(record_id)] == [message_id]
    task = run.task(TASK)
    assert (task["try_number"], task["state"]) == (2, "success")
    assert run.xcom(TASK) == message_id


def test_frozen_try_wakes_after_its_task_has_failed(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str
) -> None:
    sandbox.fault("from_addresses", "slow", seconds=10)
    run = airflow.trigger("send_mail_without_retries", record_id=record_id)
    frozen = _freeze_before_sending(run, sandbox)

    assert run.wait() == "failed"
    _thaw(frozen)
    assert sandbox.mails(record_id) == []
    assert run.task(TASK)["state"] == "failed"


def test_orphan_of_a_killed_supervisor(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str
) -> None:
    sandbox.fault("from_addresses", "slow", seconds=HEARTBEAT_TIMEOUT + 10)
    run = airflow.trigger("send_mail", record_id=record_id)
    orphan = _wait_before_sending(run, sandbox)
    orphan.parent().kill()

    assert run.wait(timeout=150) == "success"
    wait_for("the orphan ends", lambda: not _lives(orphan), timeout=60)
    assert [mail["message_id"] for mail in sandbox.mails(record_id)] == [run.xcom(TASK)]
    assert run.task(TASK)["try_number"] == 2


def _freeze_before_sending(run: Run, sandbox: SandboxControl) -> psutil.Process:
    """Stop a task and its supervisor."""
    task = _wait_before_sending(run, sandbox)
    for process in (task.parent(), task):
        process.suspend()
    return task


def _wait_before_sending(run: Run, sandbox: SandboxControl) -> psutil.Process:
    """Wait until a task waits for a response that it needs before it can send, and return its process."""
    wait_for("the task asks for the from-addresses", lambda: not sandbox.faults(), timeout=30)
    return run.process(TASK)


def _thaw(task: psutil.Process) -> None:
    """Resume a frozen task, then its supervisor, which might end it, and wait until it has ended."""
    supervisor = task.parent()
    task.resume()
    if not IS_AIRFLOW_3:  # whose tasks can do nothing without their supervisor
        wait_for("the woken task ends", lambda: not _lives(task), timeout=30)
    supervisor.resume()
    wait_for("the woken task ends", lambda: not _lives(task), timeout=30)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
