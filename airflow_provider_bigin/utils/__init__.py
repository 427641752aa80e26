"""Helpers for the Airflow layer."""
