"""Which token cache the Airflow configuration asks for, and the one in an Airflow Variable."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.api.token_cache import (
    FileTokenCache,
    MemoryTokenCache,
    TokenCache,
    lock_file,
    make_private_directory,
)
from airflow_provider_bigin.version_compat import get_variable, set_variable

log = logging.getLogger(__name__)

#: Those that run tasks where the scheduler is.
LOCAL_EXECUTORS = {"LocalExecutor", "SequentialExecutor", "DebugExecutor"}


def configured_token_cache() -> TokenCache:
    """
    Return the cache that ``[bigin] token_cache`` names.

    :raises BiginConfigurationError: if it names none.
    """
    from airflow.configuration import AIRFLOW_HOME, conf

    kind = conf.get("bigin", "token_cache", fallback="file").strip().lower()
    directory = Path(AIRFLOW_HOME) / "bigin"
    if kind == "file":
        _warn_of_many_machines(conf.get("core", "executor", fallback=""))
        return FileTokenCache(directory)
    if kind == "variable":
        return VariableTokenCache(directory)
    if kind == "none":
        return MemoryTokenCache()
    raise BiginConfigurationError(
        f"[bigin] token_cache = {kind!r} in the Airflow configuration: use file, variable or none"
    )


@cache
def _warn_of_many_machines(executors: str) -> None:
    """
    Warn once in a process if tasks may run on several machines.

    :param executors: ``[core] executor``, such as ``LocalExecutor,team:my.module.OtherExecutor``.
    """
    names = {name.strip().rpartition(":")[2].rpartition(".")[2] for name in executors.split(",")}
    if distant := ", ".join(sorted(names - LOCAL_EXECUTORS - {""})):
        log.warning(
            "[bigin] token_cache is 'file', which each machine has for itself, and %s may run tasks on many:"
            " set it to 'variable', or Zoho may refuse to make that many access tokens.",
            distant,
        )


class VariableTokenCache:
    """
    Keep each text in an Airflow Variable, for workers on many machines.

    :param lock_directory: where the processes of one machine queue.
    """

    spans_machines = True

    def __init__(self, lock_directory: Path) -> None:
        self.lock_directory = lock_directory

    def read(self, name: str) -> str | None:
        """Return the text, or None if there is none."""
        return get_variable(_key(name))

    def write(self, name: str, text: str) -> None:
        """Keep the text for all."""
        set_variable(
            _key(name), text, description="Made by airflow-provider-bigin: an access token, encrypted"
        )

    def lock(self, name: str) -> AbstractContextManager[object]:
        """Keep this machine's other processes away from the name."""
        return lock_file(make_private_directory(self.lock_directory), name)


def _key(name: str) -> str:
    """
    Name the Variable; Airflow hides the values of keys that contain ``access_token``, and the name does.
    """
    return f"airflow_provider_bigin_{name}"
