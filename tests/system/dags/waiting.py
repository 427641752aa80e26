"""DAGs whose tasks wait in the triggerer."""

from __future__ import annotations

from datetime import datetime

from airflow_provider_bigin.operators.bigin import BiginSendMailOperator
from airflow_provider_bigin.sensors.bigin import BiginMailStatusSensor

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task

with DAG("wait_for_mail", schedule=None, start_date=datetime(2026, 1, 1)):
    record_id = "{{ dag_run.conf['record_id'] }}"
    send = BiginSendMailOperator(
        task_id="send", record_id=record_id, to="ada@example.org", subject="Have you read this?", content="-"
    )
    send >> BiginMailStatusSensor(
        task_id="wait", message_id=send.output, record_id=record_id, deferrable=True, poke_interval=2
    )

with DAG("waiting_room", schedule=None, start_date=datetime(2026, 1, 1), is_paused_upon_creation=True):

    @task
    def wait(number: int) -> None:
        """Do nothing, because the test hands the instances to the triggerer."""

    wait.expand(number=list(range(200)))
