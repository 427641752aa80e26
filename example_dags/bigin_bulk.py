"""
Personalized mails to all contacts that a search finds, and a summary to the sales team.

Several mails go out at a time, and each of them once: a retry sends only those that are left.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import DAG

try:  # Airflow 3
    from airflow.sdk import task
except ImportError:
    from airflow.decorators import task

from airflow_provider_bigin.operators.bigin import (
    BiginBulkSendMailOperator,
    BiginRecordsOperator,
    BiginSendMailOperator,
)

with DAG(
    "bigin_bulk",
    schedule=None,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=5)},
):
    contacts = BiginRecordsOperator(
        task_id="contacts",
        fields=["First_Name", "Email"],
        criteria="(Email_Opt_Out:equals:false)",
    )

    @task
    def rows(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Make a row for each contact that has an address."""
        return [
            {
                "record_id": record["id"],
                "to": {"user_name": record["First_Name"], "email": record["Email"]},
                "first_name": record["First_Name"],
            }
            for record in records
            if record["Email"]
        ]

    invite = BiginBulkSendMailOperator(
        task_id="invite",
        mails=rows(contacts.output),
        subject="{{ mail.first_name }}, you are invited",
        content="<p>Dear {{ mail.first_name }},</p><p>join us on Friday.</p>",
    )

    BiginSendMailOperator(
        task_id="summary",
        record_id="5000000000000000101",
        to="sales@example.com",
        subject="Invitations of {{ run_id }}",
        content="""
            {% set result = ti.xcom_pull(task_ids="invite") %}
            <p>{{ result.sent + result.already_sent }} of {{ result.total }} invitations are out.</p>
            <ul>
            {% for row in result.rows if row.error %}
                <li>{{ row.record_id }}: {{ row.status }} ({{ row.error | e }})</li>
            {% endfor %}
            </ul>
        """,
    ).set_upstream(invite)
