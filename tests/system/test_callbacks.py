"""Notifiers in all the places that accept one."""

from __future__ import annotations

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AIRFLOW_VERSION, AirflowServer, wait_for


def test_tasks_and_the_dag_tell_what_became_of_them(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str
) -> None:
    run = airflow.trigger("all_callbacks", record_id=record_id)

    assert run.wait() == "failed"
    wait_for("all mails arrive", lambda: sandbox.mail_count() == 4, timeout=60)
    mails = {mail["subject"]: mail["content"] for mail in sandbox.mails()}
    assert set(mails) == {
        "[Airflow] all_callbacks.succeed: success",
        "[Airflow] all_callbacks.fail: up for retry",
        "[Airflow] all_callbacks.fail: failed",
        "[Airflow] all_callbacks: failed",
    }
    assert "1 of 2" in mails["[Airflow] all_callbacks.fail: up for retry"]
    assert "2 of 2" in mails["[Airflow] all_callbacks.fail: failed"]
    assert "ValueError: no orders" in mails["[Airflow] all_callbacks.fail: failed"]
    assert "task failure" in mails["[Airflow] all_callbacks: failed"]
    for content in mails.values():
        assert run.run_id in content
        assert "/dags/all_callbacks/" in content


def test_a_notification_that_cannot_be_sent_leaves_the_failure_what_it_is(
    airflow: AirflowServer, sandbox: SandboxControl
) -> None:
    run = airflow.trigger("telling_nobody")

    assert run.wait() == "failed"
    wait_for(
        "the log says why nobody was told",
        lambda: "no record has the address nobody@example.org" in run.log("fail_alone"),
        timeout=30,
    )
    assert run.task("fail_alone")["state"] == "failed"
    log = run.log("fail_alone")
    assert "ValueError: no orders" in log or '"exc_value":"no orders"' in log
    assert "BiginValidationError" not in log, "a traceback would stand below the task's own"
    assert sandbox.mail_count() == 0


OF_TASK, OF_DAG = "[Airflow] losing_its_task.wait: failed", "[Airflow] losing_its_task: failed"


def test_a_task_that_dies_with_its_host_is_told_once(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str
) -> None:
    """Airflow 3 calls its callback twice."""
    run = airflow.trigger("losing_its_task", record_id=record_id)
    task = run.process("wait")
    for process in (task.parent(), task):
        process.kill()

    assert run.wait() == "failed"
    _wait_for_the_last_callback(sandbox)
    assert sorted(_subjects(sandbox)) == [OF_TASK, OF_DAG]


def test_a_task_whose_process_alone_is_killed_is_told_by_the_dag(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str
) -> None:
    """Airflow 3 does not call the task's callback; once it does, the documentation has to change."""
    run = airflow.trigger("losing_its_task", record_id=record_id)
    run.process("wait").kill()

    assert run.wait() == "failed"
    _wait_for_the_last_callback(sandbox)
    assert sorted(_subjects(sandbox)) == ([OF_DAG] if AIRFLOW_VERSION >= (3, 0) else [OF_TASK, OF_DAG])


def _wait_for_the_last_callback(sandbox: SandboxControl) -> None:
    """Wait for the DAG's callback, which may wait for the next time that the DAG processor reads the file."""
    wait_for("the DAG tells it", lambda: OF_DAG in _subjects(sandbox), timeout=90)


def _subjects(sandbox: SandboxControl) -> list[str]:
    return [mail["subject"] for mail in sandbox.mails()]
