"""Print what Airflow's discovery of the provider imports besides the standard library."""

import json
import sys

before = set(sys.modules)
from airflow_provider_bigin.get_provider_info import get_provider_info  # noqa: E402

get_provider_info()
print(
    json.dumps(
        sorted({name.partition(".")[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)
    )
)
