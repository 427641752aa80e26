"""The token cache that the Airflow configuration selects, and the one in Airflow Variables."""

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

#: Executors that run tasks on the scheduler's machine.
LOCAL_EXECUTORS = {"LocalExecutor", "SequentialExecutor", "DebugExecutor"}


def configured_token_cache() -> TokenCache:
    """
    Return the cache selected by ``[bigin] token_cache``.

    :raises BiginConfigurationError: if the option is not valid.
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
    Warn once per process if tasks may run on several machines.

    :param executors: ``[core] executor``, such as ``LocalExecutor,team:my.module.OtherExecutor``.
    """
    names = {name.strip().rpartition(":")[2].rpartition(".")[2] for name in executors.split(",")}
    if distant := ", ".join(sorted(names - LOCAL_EXECUTORS - {""})):
        log.warning(
            "[bigin] token_cache is 'file', which machines do not share, and %s may run tasks on several:"
            " set it to 'variable', or Zoho may refuse to issue that many access tokens.",
            distant,
        )


class VariableTokenCache:
    """
    Keep each text in an Airflow Variable, for workers on many machines.

    :param lock_directory: directory of the locks between the processes of one machine.
    """

    spans_machines = True

    def __init__(self, lock_directory: Path) -> None:
        self.lock_directory = lock_directory

    def read(self, name: str) -> str | None:
        """Return the text, or None if there is none."""
        return get_variable(_key(name))

    def write(self, name: str, text: str) -> None:
        """Store the text for all processes."""
        set_variable(
            _key(name), text, description="Made by airflow-provider-bigin: an access token, encrypted"
        )

    def lock(self, name: str) -> AbstractContextManager[object]:
        """Keep this machine's other processes away from the name."""
        return lock_file(make_private_directory(self.lock_directory), name)


def _key(name: str) -> str:
    """Return the Variable's key; it contains ``access_token``, so Airflow hides the value."""
    return f"airflow_provider_bigin_{name}"
