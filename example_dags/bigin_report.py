"""
A weekly report: text from a template file, figures from an upstream task, a file attached, sent two hours
after the run.

``content`` names a file beside this one; everything in it and in the other arguments is a Jinja template.
"""

from __future__ import annotations

import csv
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from airflow import DAG

try:  # Airflow 3
    from airflow.sdk import task
except ImportError:
    from airflow.decorators import task

from airflow_provider_bigin.operators.bigin import BiginSendMailOperator

with DAG(
    "bigin_report",
    schedule="0 6 * * 1",
    start_date=datetime(2026, 1, 5, tzinfo=timezone.utc),
    catchup=False,
    default_args={"retries": 3},
):

    @task
    def summarise() -> dict[str, object]:
        """Count what happened and write it to a file."""
        orders = [("2041", 120.0), ("2042", 80.5), ("2043", 310.0)]
        path = Path(tempfile.mkdtemp()) / "orders.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([("order", "amount"), *orders])
        return {"orders": len(orders), "total": sum(amount for _, amount in orders), "file": str(path)}

    figures = summarise()

    report = BiginSendMailOperator(
        task_id="report",
        record_id="5000000000000000102",
        to='"Hopper, Grace" <grace.hopper@example.org>',
        cc=["ada.lovelace@example.org"],
        reply_to="Sales desk <sales@example.com>",
        subject="Orders of the week of {{ ds }}",
        content="templates/report.html",
        files=["{{ ti.xcom_pull(task_ids='summarise')['file'] }}"],
        scheduled_time="{{ (dag_run.start_date + macros.timedelta(hours=2)).isoformat() }}",
    )

    figures >> report
