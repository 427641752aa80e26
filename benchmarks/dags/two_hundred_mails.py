"""The same mails twice: from one task each, and all from one task."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator, BiginSendMailOperator

try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG

RECORD_ID = "5000000000000000101"
MAILS: list[dict[str, Any]] = [
    {"to": f"person{number}@example.org", "subject": f"No. {number}"} for number in range(200)
]

with DAG("mapped", schedule=None, start_date=datetime(2026, 1, 1)):
    BiginSendMailOperator.partial(task_id="send", record_id=RECORD_ID, content="<p>Hello.</p>").expand_kwargs(
        MAILS
    )

with DAG("bulk", schedule=None, start_date=datetime(2026, 1, 1)):
    BiginBulkSendMailOperator(task_id="send", mails=MAILS, record_id=RECORD_ID, content="<p>Hello.</p>")
