"""Turn what people wrote into messages for :mod:`airflow_provider_bigin.delivery` to send."""
