"""Print what Airflow knows about the provider."""

import json

from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager

manager = ProvidersManager()
manager.initialize_providers_configuration()
print(
    json.dumps(
        {
            "version": manager.providers["airflow-provider-bigin"].version,
            "label": manager.hooks["bigin"].hook_name,
            "token_cache": conf.get("bigin", "token_cache"),
        }
    )
)
