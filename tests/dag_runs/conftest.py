"""DAGs run with ``dag.test()`` in a separate Airflow."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox_control import SandboxControl

ROOT = Path(__file__).parents[2]
#: Prints the outcome of a run's tasks: task, map index, label, state.
TaskRow = tuple[str, int, str | None, str]


@pytest.fixture(scope="session")
def airflow_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the home of an Airflow with an empty database."""
    home = tmp_path_factory.mktemp("airflow")
    _airflow(home, "db", "migrate")
    return home


@pytest.fixture
def airflow(airflow_home: Path, sandbox: SandboxControl) -> Callable[..., None]:
    """Run an Airflow command with a folder of DAGs and a connection to the sandbox."""
    # A new sandbox rejects the tokens of the previous one; after too many rejections, no more are requested.
    shutil.rmtree(airflow_home / "bigin", ignore_errors=True)

    def run(folder: Path, *command: str, may_fail: bool = False) -> None:
        _airflow(
            airflow_home,
            *command,
            may_fail=may_fail,
            AIRFLOW__CORE__DAGS_FOLDER=str(folder),
            AIRFLOW_CONN_BIGIN_DEFAULT=json.dumps(sandbox.connection()),
        )

    return run


@pytest.fixture
def run_dag(airflow: Callable[..., None], airflow_home: Path) -> Callable[..., list[TaskRow]]:
    """Run a DAG of a folder and return its task instances."""

    def run(dag_id: str, folder: Path, **options: bool) -> list[TaskRow]:
        airflow(folder, "dags", "test", dag_id, **options)
        with closing(sqlite3.connect(airflow_home / "airflow.db")) as database:
            return database.execute(
                "SELECT task_id, map_index, rendered_map_index, state FROM task_instance WHERE dag_id = ?",
                (dag_id,),
            ).fetchall()

    return run


def _airflow(home: Path, *command: str, may_fail: bool = False, **environment: Any) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "airflow", *command],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(ROOT),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=500,
    )
    print(process.stdout)
    assert may_fail or process.returncode == 0, process.stdout
