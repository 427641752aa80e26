"""``make ui`` starts, sees new DAGs, and leaves nothing running."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import takewhile
from pathlib import Path

import pytest

from tests.system.airflow_server import kill_all, processes_of, wait_for

SCRIPT = Path(__file__).parents[2] / "scripts" / "ui.py"
DAG = """
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

with DAG("new", schedule=None):
    pass
"""


@pytest.mark.timeout(300)
def test_starts_and_leaves_nothing_running(tmp_path: Path) -> None:
    home, dags = tmp_path / "home", tmp_path / "dags"
    dags.mkdir()
    # Process titles would otherwise overwrite the environment by which processes are found.
    env = {**os.environ, "AIRFLOW_HOME": str(home), "DAGS": str(dags), "SPT_NOENV": "1"}

    def rows(query: str) -> list[tuple[str]]:
        with closing(sqlite3.connect(home / "airflow.db", timeout=60)) as database:
            return database.execute(query).fetchall()

    with subprocess.Popen([sys.executable, SCRIPT], stdout=subprocess.PIPE, text=True, env=env) as ui:
        try:
            assert ui.stdout
            output = "".join(takewhile(lambda line: not line.startswith("The connection is"), ui.stdout))
            assert "password" in output
            assert rows("SELECT conn_id FROM connection") == [("bigin_default",)]
            (dags / "new.py").write_text(DAG)
            wait_for("the new DAG is seen", lambda: ("new",) in rows("SELECT dag_id FROM dag"), timeout=60)
            ui.terminate()
            assert ui.wait(timeout=60) == 0
            assert ui.stdout.read() == "\nStopped.\n"
            assert processes_of(home) == []
        finally:
            kill_all(home)
