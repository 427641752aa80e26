"""Helpers of the Airflow layer."""
