"""A DAG of many mapped tasks, whose workers share their access token through an Airflow Variable."""

from __future__ import annotations

import os
from datetime import datetime

from airflow_provider_bigin.operators.bigin import BiginSendMailOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

# Each task has its own process, which reads only this file, so this does not affect other DAGs.
os.environ["AIRFLOW__BIGIN__TOKEN_CACHE"] = "variable"

with DAG("many_mails", schedule=None, start_date=datetime(2026, 1, 1)):
    BiginSendMailOperator.partial(
        task_id="send", record_id="{{ dag_run.conf['record_id'] }}", content="<p>Hello.</p>"
    ).expand_kwargs(
        [{"to": f"person{number}@example.org", "subject": f"No. {number}"} for number in range(60)]
    )
