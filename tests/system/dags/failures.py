"""DAGs whose tasks fail and notify people."""

from __future__ import annotations

import warnings
from datetime import datetime

from airflow_provider_bigin.notifications.bigin import BiginNotifier

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task

oncall = BiginNotifier(to="oncall@example.org", record_id="{{ dag_run.conf['record_id'] }}")

with DAG("two_failures", schedule=None, start_date=datetime(2026, 1, 1)):

    @task(on_failure_callback=oncall)
    def load() -> None:
        """Fail, with a text that looks like HTML."""
        raise ValueError("the column <total> is missing")

    @task(on_failure_callback=oncall)
    def publish() -> None:
        """Fail for another reason."""
        raise RuntimeError("nobody answers")

    load()
    publish()

with DAG("failure_with_email", schedule=None, start_date=datetime(2026, 1, 1)), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Airflow wants to give up e-mail alerts in its version 4

    @task(email=["oncall@example.org"], email_on_failure=True)
    def report() -> None:
        """Fail."""
        raise ValueError("no data for today")

    report()
