"""DAGs whose tasks hit Bigin's limits and have no retries."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator, BiginSendMailOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG


def rows(context: Any) -> list[dict[str, str]]:
    """Make a row for each record."""
    return [
        {"record_id": record_id, "to": f"{record_id}@example.org"}
        for record_id in context["dag_run"].conf["record_ids"]
    ]


with DAG("few_mails_a_day", schedule=None, start_date=datetime(2026, 1, 1)):
    BiginBulkSendMailOperator(
        task_id="send", mails=rows, content="<p>Hello.</p>", retries=0, limit_wait=timedelta(days=5)
    )

with DAG("throttled", schedule=None, start_date=datetime(2026, 1, 1)):
    BiginSendMailOperator.partial(
        task_id="send", record_id="{{ dag_run.conf['record_id'] }}", content="<p>Hello.</p>", retries=0
    ).expand(to=[f"person{number}@example.org" for number in range(20)])
