"""Bigin's API v2, without Airflow: data centers, OAuth, mail, errors and the HTTP client."""
