"""A DAG that misses its deadline."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from airflow_provider_bigin.notifications.bigin import BiginNotifier

try:
    from airflow.sdk import DAG, task
    from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference
except ImportError:
    pass  # Airflow before 3.1 has no deadlines
else:
    alert = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=1),
        callback=AsyncCallback(
            BiginNotifier, kwargs={"to": "oncall@example.org", "record_id": "{{ dag_run.conf['record_id'] }}"}
        ),
    )
    with DAG("late", schedule=None, start_date=datetime(2026, 1, 1), deadline=alert):

        @task
        def dawdle() -> None:
            """Take longer than the deadline allows."""
            time.sleep(8)

        dawdle()
