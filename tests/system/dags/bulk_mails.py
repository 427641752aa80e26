"""A DAG with one task that sends many mails, to the records that the run's configuration names."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator

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


with DAG("bulk_mails", schedule=None, start_date=datetime(2026, 1, 1)):
    BiginBulkSendMailOperator(
        task_id="send",
        mails=rows,
        subject="Report of run {{ run_id }}",
        content="<p>All is well.</p>",
        retries=2,
        retry_delay=timedelta(seconds=1),
    )
