"""A DAG whose tasks wait for one mail in different ways."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_bigin.operators.bigin import BiginSendMailOperator
from airflow_provider_bigin.sensors.bigin import BiginMailStatusSensor

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

RECORD_ID = "{{ dag_run.conf['record_id'] }}"

with DAG("sensor_modes", schedule=None, start_date=datetime(2026, 1, 1)):
    sent = BiginSendMailOperator(
        task_id="send", record_id=RECORD_ID, to="ada@example.org", subject="Have you read this?", content="-"
    )
    # Airflow's scheduler fails tasks that are rescheduled for only a second: it takes the end of the last run
    # for that of the next one.
    arguments = {"message_id": sent.output, "record_id": RECORD_ID, "poke_interval": 5}
    BiginMailStatusSensor(task_id="poke", **arguments)
    BiginMailStatusSensor(task_id="reschedule", mode="reschedule", **arguments)
    BiginMailStatusSensor(task_id="deferred", deferrable=True, **arguments)
    # They give up on a mail that nobody opens.
    BiginMailStatusSensor(task_id="skipped", deferrable=True, soft_fail=True, timeout=1, **arguments)
    BiginMailStatusSensor(task_id="timed_out", mode="reschedule", timeout=1, **arguments)
