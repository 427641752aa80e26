"""
A local Bigin: its API v2 over HTTP, a web inbox, and switches for everything that can go wrong.

Start it with ``python -m airflow_provider_bigin.sandbox``.
"""
