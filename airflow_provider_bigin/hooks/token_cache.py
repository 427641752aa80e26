"""Which token cache the Airflow configuration asks for, and the one in an Airflow Variable."""

from __future__ import annotations

from contextlib import AbstractContextManager
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


def configured_token_cache() -> TokenCache:
    """
    Return the cache that ``[bigin] token_cache`` names.

    :raises BiginConfigurationError: if it names none.
    """
    from airflow.configuration import AIRFLOW_HOME, conf

    kind = conf.get("bigin", "token_cache", fallback="file").strip().lower()
    directory = Path(AIRFLOW_HOME) / "bigin"
    if kind == "file":
        return FileTokenCache(directory)
    if kind == "variable":
        return VariableTokenCache(directory)
    if kind == "none":
        return MemoryTokenCache()
    raise BiginConfigurationError(
        f"[bigin] token_cache = {kind!r} in the Airflow configuration: use file, variable or none"
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
