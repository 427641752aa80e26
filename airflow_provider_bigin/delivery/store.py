"""Where a task's state is kept: Airflow 3.3's task state store, an Airflow Variable, or nowhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from airflow_provider_bigin.delivery.identity import digest
from airflow_provider_bigin.version_compat import (
    delete_database_variable,
    get_database_variable,
    set_database_variable,
)

#: Prefix of all keys and Variables, so that they do not collide with what users store.
PREFIX = "airflow_provider_bigin"
VARIABLE_PREFIX = f"{PREFIX}_state_"


class StateStore(Protocol):
    """Named JSON objects that survive the tries of a task. A call that fails raises an exception."""

    #: Whether anything is kept at all.
    keeps: ClassVar[bool]
    #: Whether a try that was replaced can still write, so that each write has to be checked.
    is_shared: ClassVar[bool]

    def read(self, name: str) -> Any:
        """Return the value under a name, or None if there is none; anything may have happened to it."""

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replace the value under a name."""

    def delete(self, name: str) -> None:
        """Delete the value under a name."""


class TaskStateStore:
    """
    The task state store of Airflow 3.3.

    It refuses the writes of a try that was replaced, and its rows are deleted with their run.

    :param store: ``context["task_state_store"]``.
    :param operator: key that tells the operators inside one task apart.
    """

    keeps: ClassVar[bool] = True
    is_shared: ClassVar[bool] = False

    def __init__(self, store: Any, operator: str | int = "task") -> None:
        self._store = store
        self._prefix = f"{PREFIX}.{operator}"

    def read(self, name: str) -> Any:
        """Return the value under a name, or None."""
        return self._store.get(f"{self._prefix}.{name}")

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replace the value under a name."""
        # Airflow would let it expire after 30 days. This is the value of airflow.sdk.NEVER_EXPIRE.
        self._store.set(f"{self._prefix}.{name}", value, retention=timedelta.max)

    def delete(self, name: str) -> None:
        """Delete the value under a name."""
        self._store.delete(f"{self._prefix}.{name}")


class VariableStore:
    """
    Airflow Variables in the metadata database, for a task instance below Airflow 3.3.

    Secrets backends are bypassed: they would be asked first each time, and cannot have these Variables.

    :param identity: identity of the task instance.
    """

    keeps: ClassVar[bool] = True
    is_shared: ClassVar[bool] = True

    def __init__(self, identity: Sequence[str | int]) -> None:
        self._key = VARIABLE_PREFIX + digest(json.dumps(list(identity)))
        self._description = f"State of the mails of {'.'.join(map(str, identity))}; see airflow bigin clean"

    def read(self, name: str) -> Any:
        """Return the value under a name, or None."""
        text = get_database_variable(self._name(name))
        try:
            return None if text is None else json.loads(text)
        except ValueError:
            return text  # someone has edited it; the reader sees that it is not what was written

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replace the value under a name."""
        set_database_variable(self._name(name), json.dumps(value), description=self._description)

    def delete(self, name: str) -> None:
        """Delete the value under a name."""
        delete_database_variable(self._name(name))

    def _name(self, name: str) -> str:
        return self._key if name == "head" else f"{self._key}_{name}"


class NoStore:
    """A store that keeps nothing: ``[bigin] state = none``, for where tasks may not write Variables."""

    keeps: ClassVar[bool] = False
    is_shared: ClassVar[bool] = False

    def read(self, name: str) -> Any:
        """Return nothing."""
        return None

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Keep nothing."""

    def delete(self, name: str) -> None:
        """Do nothing."""
