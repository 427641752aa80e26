"""
A mailing that is sent once a person has reviewed and approved it.

The mails are composed and shown on the page of the task ``approve`` in Airflow, under *Required Actions*.
Needs Airflow 3.1 or later; on earlier versions this file defines no DAG.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow import DAG
from airflow.exceptions import AirflowException

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator
    from airflow.sdk import task
except (ImportError, AirflowException):
    ApprovalOperator = None

from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator, BiginRecordsOperator

if ApprovalOperator:
    with DAG(
        "bigin_approved_mailing",
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

        mailing = {
            "mails": rows(contacts.output),
            "subject": "{{ mail.first_name }}, you are invited",
            "content": "<p>Dear {{ mail.first_name }},</p><p>join us on Friday.</p>",
        }
        preview = BiginBulkSendMailOperator(task_id="preview", dry_run=True, **mailing)
        approve = ApprovalOperator(
            task_id="approve",
            subject="Send {{ ti.xcom_pull(task_ids='preview')['ready'] }} mails?",
            body="{{ ti.xcom_pull(task_ids='preview')['preview'] }}",
        )
        send = BiginBulkSendMailOperator(task_id="send", **mailing)

        preview >> approve >> send
