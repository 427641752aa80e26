"""A local Bigin: the same HTTP as Bigin's API v2, an inbox to look at, and switches for everything that can go wrong.

Start it with ``python -m airflow_provider_bigin.sandbox``.
"""
