"""The command line: ``airflow bigin`` and ``python -m airflow_provider_bigin``."""
