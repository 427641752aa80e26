"""Bigin's API v2, without Airflow: data centres, OAuth, mail, errors and the HTTP client."""
