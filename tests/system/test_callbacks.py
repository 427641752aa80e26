"""Notifiers in all the places that accept one."""

from __future__ import annotations

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AirflowServer, wait_for


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
