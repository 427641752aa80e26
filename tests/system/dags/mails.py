"""DAGs that send the mails that the run's configuration describes."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_bigin.operators.bigin import BiginSendMailOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG


def send_mail_dag(dag_id: str, *, retries: int) -> DAG:
    """Make a DAG with one task that sends one mail."""
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        BiginSendMailOperator(
            task_id="send",
            record_id="{{ dag_run.conf['record_id'] }}",
            to="ada@example.org",
            subject="Report of run {{ run_id }}",
            content="<p>All is well.</p>",
            retries=retries,
            retry_delay=timedelta(seconds=1),
        )
    return dag


send_mail = send_mail_dag("send_mail", retries=2)
send_mail_without_retries = send_mail_dag("send_mail_without_retries", retries=0)
