"""Operators for Bigin, for DAGs to import."""

from airflow_provider_bigin.operators.bulk import BiginBulkSendMailOperator
from airflow_provider_bigin.operators.records import BiginRecordsOperator
from airflow_provider_bigin.operators.send_mail import BiginSendMailOperator

__all__ = ["BiginBulkSendMailOperator", "BiginRecordsOperator", "BiginSendMailOperator"]
