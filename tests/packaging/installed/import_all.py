"""Import every module of the package and print their names; a warning that blames one of them is an error."""

import importlib
import json
import pkgutil
import warnings

import airflow_provider_bigin

warnings.filterwarnings("error", module=r"airflow_provider_bigin(\.|\Z)")
names = [
    module.name
    for module in pkgutil.walk_packages(airflow_provider_bigin.__path__, "airflow_provider_bigin.")
    if not module.name.endswith("__main__")
]
for name in names:
    importlib.import_module(name)
print(json.dumps(names))
