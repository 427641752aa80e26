"""What a task stores between its tries and what it leaves behind."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from importlib.metadata import version

import pytest

pytestmark = pytest.mark.timeout(300)  # Airflow starts several times

ADA, GRACE = "5000000000000000101", "5000000000000000102"

DAG = """
from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from airflow import DAG

from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator, BiginSendMailOperator


def note_variables(context):
    with closing(sqlite3.connect(Path(os.environ["AIRFLOW_HOME"], "airflow.db"))) as database:
        variables = database.execute("SELECT key, description FROM variable").fetchall()
    Path(__file__).with_name(context["ti"].task_id).write_text(json.dumps(variables))


retried = {"retries": 1, "retry_delay": timedelta(0), "on_retry_callback": note_variables}

with DAG("kept_state", schedule=None, default_args=retried):
    BiginSendMailOperator(
        task_id="one", record_id="5000000000000000101", to="a@example.org", subject="x", content="y"
    ) >> BiginBulkSendMailOperator(
        task_id="many",
        mails=[
            {"record_id": "5000000000000000101", "to": "b@example.org"},
            {"record_id": "5000000000000000102", "to": "c@example.org"},
        ],
        subject="x",
        content="y",
    )
"""


def test_state_survives_a_retry_and_nothing_is_left(run_dag, sandbox, airflow_home, tmp_path):
    (tmp_path / "kept_state.py").write_text(DAG)
    sandbox.settings(emails_outage="scope")  # a task that has lost its state is in doubt
    sandbox.fault("send_mail", "record_locked", record_id=GRACE)
    sandbox.fault("send_mail", "record_locked", record_id=ADA)
    assert {(task, state) for task, *_, state in run_dag("kept_state", tmp_path)} == {
        ("one", "success"),
        ("many", "success"),
    }
    assert sorted(mail["to"][0]["email"] for mail in sandbox.mails()) == [
        "a@example.org",
        "b@example.org",
        "c@example.org",
    ]
    kept = json.loads((tmp_path / "many").read_text())
    has_store = tuple(map(int, version("apache-airflow").split(".")[:2])) >= (3, 3)
    assert len([key for key, _ in kept if key.startswith("airflow_provider_bigin_state_")]) == (not has_store)
    assert all("kept_state" in description and "many" in description for _, description in kept)
    with closing(sqlite3.connect(airflow_home / "airflow.db")) as database:
        assert database.execute("SELECT key FROM variable").fetchall() == []
