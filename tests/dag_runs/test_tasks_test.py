"""``airflow tasks test``, which on Airflow 2 keeps no state of the task."""

from __future__ import annotations

from importlib.metadata import version

import pytest

pytestmark = pytest.mark.skipif(
    not version("apache-airflow").startswith("2."),
    reason="Airflow 3 keeps the state of a task that is tested",
)

DAG = """
from __future__ import annotations

from datetime import datetime

from airflow import DAG

from airflow_provider_bigin.operators.bigin import BiginSendMailOperator

with DAG("tested", schedule=None, start_date=datetime(2026, 1, 1)):
    BiginSendMailOperator(
        task_id="mail", record_id="5000000000000000101", to="a@example.org", subject="x", content="-"
    )
"""


def test_a_task_without_a_state_sends_its_mail(airflow, sandbox, tmp_path):
    (tmp_path / "tested.py").write_text(DAG)
    airflow(tmp_path, "tasks", "test", "tested", "mail", "2026-11-01")
    assert len(sandbox.mails()) == 1
