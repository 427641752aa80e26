"""DAGs whose tasks ask a person about mails in doubt."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow_provider_bigin.notifications.bigin import BiginNotifier
from airflow_provider_bigin.operators.bigin import BiginSendMailOperator
from airflow_provider_bigin.version_compat import can_ask_people

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG


def ask_dag(dag_id: str, timeout: timedelta) -> DAG:
    """Make a DAG with one task that sends one mail and asks if it is in doubt."""
    with DAG(dag_id, schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        BiginSendMailOperator(
            task_id="send",
            record_id="{{ dag_run.conf['record_id'] }}",
            to="ada@example.org",
            subject="Report of run {{ run_id }}",
            content="<p>All is well.</p>",
            on_unknown_outcome="ask",
            ask_timeout=timeout,
            ask_notifiers=[
                BiginNotifier(to="oncall@example.org", record_id="{{ dag_run.conf['oncall_id'] }}")
            ],
            retries=2,
            retry_delay=timedelta(seconds=1),
        )
    return dag


if can_ask_people():
    ask = ask_dag("ask", timedelta(days=1))
    ask_in_vain = ask_dag("ask_in_vain", timedelta(seconds=15))
