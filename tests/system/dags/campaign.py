"""A DAG of many mails, in single tasks and in bulk tasks, that survive many failures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator, BiginSendMailOperator

try:
    from airflow.sdk import DAG, get_current_context, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task
    from airflow.operators.python import get_current_context

with DAG(
    "campaign",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    default_args={"retries": 50, "retry_delay": timedelta(seconds=1), "content": "<p>All is well.</p>"},
):

    def mails(record_ids: list[str]) -> list[dict[str, str]]:
        """Make a mail to each record."""
        return [{"record_id": record_id, "to": f"{record_id}@example.org"} for record_id in record_ids]

    @task
    def single_mails() -> list[dict[str, str]]:
        """Return the mails that have a task each."""
        return mails(get_current_context()["dag_run"].conf["single"])

    @task
    def batches() -> list[list[dict[str, str]]]:
        """Return the mails of each bulk task."""
        conf: dict[str, Any] = get_current_context()["dag_run"].conf
        return [mails(record_ids) for record_ids in conf["bulk"]]

    BiginSendMailOperator.partial(task_id="send").expand_kwargs(single_mails())
    BiginBulkSendMailOperator.partial(task_id="send_many").expand(mails=batches())
