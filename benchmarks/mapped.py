"""
Compare 200 mails from 200 mapped tasks with 200 mails from one bulk task.

Both run on an Airflow with scheduler and LocalExecutor, measured from the trigger to the end of the run.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from tests.sandbox_control import SandboxControl, sandbox_process
from tests.system.airflow_server import AirflowServer

LATENCY = 0.2


def main() -> None:
    """Print how long each of the two DAGs takes."""
    with sandbox_process() as sandbox, tempfile.TemporaryDirectory() as home:
        sandbox.settings(latency=LATENCY)
        airflow = AirflowServer(
            Path(home),
            {
                "AIRFLOW_CONN_BIGIN_DEFAULT": json.dumps(sandbox.connection()),
                "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parent / "dags"),
            },
        )
        try:
            airflow.start()
            bulk = measure(airflow, sandbox, "bulk")
            mapped = measure(airflow, sandbox, "mapped")
        finally:
            airflow.stop()
    print(f"mapped tasks took {mapped / bulk:.1f} times as long as the bulk task")


def measure(airflow: AirflowServer, sandbox: SandboxControl, dag_id: str) -> float:
    """Run one of the DAGs and return the seconds it took."""
    before = sandbox.mail_count()
    run = airflow.trigger(dag_id)
    started = time.monotonic()
    state = run.wait(timeout=1800)
    seconds = time.monotonic() - started
    assert (state, sandbox.mail_count() - before) == ("success", 200)
    print(f"{dag_id}: 200 mails in {seconds:.1f} s")
    return seconds


if __name__ == "__main__":
    main()
