"""
The only module that knows which Airflow is installed.

Names that moved between 2.11 and 3.3 are taken from where each version has them without a deprecation
warning.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any


def _first(name: str, *modules: str) -> Any:
    """Return the name from the first of the modules that has it."""
    for module in modules:
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"this Airflow has {name} in none of {', '.join(modules)}")


if TYPE_CHECKING:
    from airflow.sdk import BaseHook, BaseOperator
    from airflow.sdk.exceptions import AirflowFailException
else:
    BaseHook = _first("BaseHook", "airflow.sdk", "airflow.hooks.base")
    BaseOperator = _first("BaseOperator", "airflow.sdk", "airflow.models")
    AirflowFailException = _first("AirflowFailException", "airflow.sdk.exceptions", "airflow.exceptions")

__all__ = [
    "AirflowFailException",
    "BaseHook",
    "BaseOperator",
    "get_variable",
    "mask_secret",
    "object_storage_path",
    "set_variable",
]


def mask_secret(secret: str) -> None:
    """Keep a text out of Airflow's logs."""
    _first("mask_secret", "airflow.sdk.log", "airflow.utils.log.secrets_masker")(secret)


def get_variable(key: str) -> str | None:
    """Return the value of an Airflow Variable, or None if there is no such variable."""
    variable = _first("Variable", "airflow.sdk", "airflow.models")
    is_airflow_2 = variable.__module__.startswith("airflow.models")
    value = variable.get(key, **{"default_var" if is_airflow_2 else "default": None})
    return None if value is None else str(value)


def set_variable(key: str, value: str, *, description: str) -> None:
    """Create or replace an Airflow Variable."""
    _first("Variable", "airflow.sdk", "airflow.models").set(key, value, description=description)


def object_storage_path(url: str) -> Any:
    """Return Airflow's path object for a URL such as ``s3://conn@bucket/key``."""
    return _first("ObjectStoragePath", "airflow.sdk", "airflow.io.path")(url)
