"""A local Bigin: the HTTP of Bigin's API v2, an inbox to look at, and switches for what can go wrong.

Start it with ``python -m airflow_provider_bigin.sandbox``.
"""
