"""What people wrote becomes messages, which :mod:`airflow_provider_bigin.delivery` sends."""
