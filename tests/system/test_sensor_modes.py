"""The sensor waits as any sensor does."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AirflowServer, wait_for


def test_each_mode(airflow: AirflowServer, sandbox: SandboxControl, record_id: str) -> None:
    connection = json.dumps(sandbox.connection())
    subprocess.run(
        [
            sys.executable,
            "-m",
            "airflow",
            "connections",
            "add",
            "bigin_in_database",
            "--conn-json",
            connection,
        ],
        env=airflow.environment,
        check=True,
        timeout=60,
    )
    run = airflow.trigger("sensor_modes", record_id=record_id)
    for task_id, state in (
        ("skipped", "skipped"),
        ("timed_out", "failed"),
        ("connection_in_database", "deferred"),
        ("poke", "running"),
    ):
        run.wait_for_task(task_id, state)
    wait_for(
        "the other one is put off",
        lambda: run.task("reschedule")["state"] in ("up_for_reschedule", "scheduled", "queued"),
        timeout=30,
    )
    sandbox.set_status(run.xcom("send"), "opened")

    run.wait()
    for task_id in ("poke", "reschedule", "connection_in_database"):
        assert (run.task(task_id)["state"], run.xcom(task_id)) == ("success", "opened")
