"""Notify people about the outcome of tasks, and wait until a mail has been sent."""

from __future__ import annotations

from datetime import timedelta

from airflow import DAG

from airflow_provider_bigin.notifications.bigin import BiginNotifier
from airflow_provider_bigin.operators.bigin import BiginSendMailOperator
from airflow_provider_bigin.sensors.bigin import BiginMailStatusSensor

RECORD_ID = "5000000000000000101"

oncall = BiginNotifier(to="On call <oncall@example.org>", record_id=RECORD_ID)

with DAG(
    "bigin_notify",
    schedule=None,
    default_args={"on_failure_callback": oncall, "on_retry_callback": oncall},
):
    welcome = BiginSendMailOperator(
        task_id="welcome",
        record_id=RECORD_ID,
        to="Ada Lovelace <ada.lovelace@example.org>",
        subject="Welcome, Ada",
        content="<p>Your account is ready.</p>",
        on_success_callback=BiginNotifier(
            to="sales@example.org",
            record_id=RECORD_ID,
            subject="Ada has been welcomed",
            content="<p>See run {{ run_id }}.</p>",
        ),
    )

    has_left = BiginMailStatusSensor(
        task_id="has_left",
        message_id=welcome.output,
        record_id=RECORD_ID,
        status=["sent", "opened"],
        deferrable=True,
        poke_interval=timedelta(minutes=1),
        timeout=timedelta(hours=1).total_seconds(),
    )
