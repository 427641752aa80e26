"""The sensor waits like any other sensor."""

from __future__ import annotations

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AirflowServer, wait_for


def test_each_mode(airflow: AirflowServer, sandbox: SandboxControl, record_id: str) -> None:
    run = airflow.trigger("sensor_modes", record_id=record_id)
    for task_id, state in (
        ("skipped", "skipped"),
        ("timed_out", "failed"),
        ("deferred", "deferred"),
        ("poke", "running"),
    ):
        run.wait_for_task(task_id, state)
    wait_for(
        "the other one is put off",
        lambda: run.task("reschedule")["state"] in ("up_for_reschedule", "scheduled", "queued"),
        timeout=30,
    )
    sandbox.set_status(run.xcom("send"), "opened")

    assert run.wait() == "failed", "one of the tasks has timed out"
    for task_id in ("poke", "reschedule", "deferred"):
        assert (run.task(task_id)["state"], run.xcom(task_id)) == ("success", "opened")
