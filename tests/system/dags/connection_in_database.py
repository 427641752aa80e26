"""DAGs that use, in the triggerer, a connection of Airflow's metadata database."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from airflow_provider_bigin.notifications.bigin import BiginNotifier
from airflow_provider_bigin.operators.bigin import BiginSendMailOperator
from airflow_provider_bigin.sensors.bigin import BiginMailStatusSensor

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow import DAG
try:
    from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference
except ImportError:  # Airflow before 3.1 has no deadlines
    AsyncCallback = None

CONN_ID = "bigin_in_database"
RECORD_ID = "{{ dag_run.conf['record_id'] }}"

with DAG("wait_with_connection_in_database", schedule=None, start_date=datetime(2026, 1, 1)):
    sent = BiginSendMailOperator(
        task_id="send", record_id=RECORD_ID, to="ada@example.org", subject="Hello", content="<p>Hello.</p>"
    )
    BiginMailStatusSensor(
        task_id="wait",
        message_id=sent.output,
        record_id=RECORD_ID,
        bigin_conn_id=CONN_ID,
        deferrable=True,
        poke_interval=2,
    )

if AsyncCallback:
    arguments = {"to": "oncall@example.org", "record_id": RECORD_ID, "bigin_conn_id": CONN_ID}
    alert = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=1),
        callback=AsyncCallback(BiginNotifier, kwargs=arguments),
    )
    with DAG(
        "late_with_connection_in_database", schedule=None, start_date=datetime(2026, 1, 1), deadline=alert
    ):

        @task
        def dawdle() -> None:
            """Take longer than the deadline allows."""
            time.sleep(8)

        dawdle()
