"""
Triggers and callbacks in the triggerer use connections of the metadata database.

A triggerer of Airflow 3.0 to 3.2 dies when such a connection is read from a thread that it does not know.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AIRFLOW_VERSION, AirflowServer, wait_for


@pytest.fixture(scope="module", autouse=True)
def connection_in_database(airflow: AirflowServer, running_sandbox: SandboxControl) -> None:
    """Add the connection that the DAGs use."""
    connection = json.dumps(running_sandbox.connection())
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


def test_sensor(airflow: AirflowServer, sandbox: SandboxControl, record_id: str) -> None:
    run = airflow.trigger("wait_with_connection_in_database", record_id=record_id)
    run.wait_for_task("wait", "deferred")
    wait_for("the trigger looks", lambda: sandbox.counts()["emails"], timeout=30)
    sandbox.set_status(run.xcom("send"), "opened")

    assert run.wait() == "success"
    assert airflow.components["triggerer"].poll() is None


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="has no deadlines")
def test_deadline(airflow: AirflowServer, sandbox: SandboxControl, record_id: str) -> None:
    run = airflow.trigger("late_with_connection_in_database", record_id=record_id)

    (mail,) = wait_for("the mail arrives", lambda: sandbox.mails(record_id), timeout=60)
    assert mail["subject"] == "[Airflow] late_with_connection_in_database: deadline missed"
    assert run.run_id in mail["content"]
    assert airflow.components["triggerer"].poll() is None
