"""The only module that knows which Airflow is installed: names that moved between 2.11 and 3.3, imported without a deprecation warning."""

from __future__ import annotations

from typing import Any

try:  # Airflow 3.1
    from airflow.sdk import BaseHook
except ImportError:
    from airflow.hooks.base import BaseHook  # type: ignore[no-redef]

try:  # Airflow 3.0
    from airflow.sdk import BaseOperator
except ImportError:
    from airflow.models import BaseOperator  # type: ignore[no-redef]

try:  # Airflow 3.2
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:
    from airflow.exceptions import AirflowFailException  # type: ignore[no-redef]

__all__ = ["AirflowFailException", "BaseHook", "BaseOperator", "get_variable", "mask_secret", "set_variable"]


def mask_secret(secret: str) -> None:
    """Keep a text out of Airflow's logs."""
    try:  # Airflow 3.0
        from airflow.sdk.log import mask_secret as mask
    except ImportError:
        from airflow.utils.log.secrets_masker import mask_secret as mask  # type: ignore[no-redef]
    mask(secret)


def get_variable(key: str) -> str | None:
    """Return the value of an Airflow Variable, or None if there is no such variable."""
    value: Any
    try:  # Airflow 3.0
        from airflow.sdk import Variable
    except ImportError:
        from airflow.models import Variable as VariableOf2

        value = VariableOf2.get(key, default_var=None)
    else:
        value = Variable.get(key, default=None)
    return None if value is None else str(value)


def set_variable(key: str, value: str, *, description: str) -> None:
    """Create or replace an Airflow Variable."""
    try:  # Airflow 3.0
        from airflow.sdk import Variable
    except ImportError:
        from airflow.models import Variable  # type: ignore[no-redef,assignment]
    Variable.set(key, value, description=description)
