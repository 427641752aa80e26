"""DAGs with a notifier in each place that takes one, and one whose notifications cannot be sent."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from airflow_provider_bigin.notifications.bigin import BiginNotifier

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow import DAG
    from airflow.decorators import task

RECORD_ID = "{{ dag_run.conf['record_id'] }}"

tell = BiginNotifier(to="oncall@example.org", record_id=RECORD_ID)
# Not every Airflow has the configuration in the context of a DAG's callback.
tell_of_dag = BiginNotifier(to="oncall@example.org", record_id="5000000000000000101")
tell_nobody = BiginNotifier(to="nobody@example.org")

with DAG("all_callbacks", schedule=None, start_date=datetime(2026, 1, 1), on_failure_callback=tell_of_dag):

    @task(on_success_callback=tell)
    def succeed() -> None:
        """Succeed."""

    @task(retries=1, retry_delay=timedelta(seconds=1), on_retry_callback=tell, on_failure_callback=tell)
    def fail() -> None:
        """Fail twice."""
        raise ValueError("no orders")

    succeed() >> fail()

with DAG("telling_nobody", schedule=None, start_date=datetime(2026, 1, 1)):

    @task(on_failure_callback=tell_nobody)
    def fail_alone() -> None:
        """Fail."""
        raise ValueError("no orders")

    fail_alone()

with DAG("losing_its_task", schedule=None, start_date=datetime(2026, 1, 1), on_failure_callback=tell_of_dag):

    @task(on_failure_callback=tell)
    def wait() -> None:
        """Wait to be killed."""
        time.sleep(600)

    wait()
