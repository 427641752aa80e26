"""Airflow provider for Bigin by Zoho CRM."""

__version__ = "0.1.0"
