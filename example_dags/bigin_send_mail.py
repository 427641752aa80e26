"""The smallest DAG: one mail to one contact."""

from __future__ import annotations

from airflow import DAG

from airflow_provider_bigin.operators.bigin import BiginSendMailOperator

with DAG("bigin_send_mail", schedule=None):
    BiginSendMailOperator(
        task_id="welcome",
        record_id="5000000000000000101",
        to="Ada Lovelace <ada.lovelace@example.org>",
        subject="Welcome, Ada",
        content="<p>Your account is ready.</p>",
    )
