"""The token cache that the Airflow configuration selects, and the one in Airflow Variables."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

from airflow_provider_bigin.api.clock import SYSTEM_CLOCK, Clock
from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.api.token_cache import FileTokenCache, MemoryTokenCache, TokenCache
from airflow_provider_bigin.version_compat import (
    delete_database_variable,
    get_database_variable,
    get_variable,
    set_database_variable,
    set_variable,
)

log = logging.getLogger(__name__)

#: Seconds in which a claim has to be written, and after which it is confirmed; Airflow's client repeats a
#: failed request after one to two seconds.
CONFIRM_TIME = 5.0
#: Maximum seconds before a process claims, so that most find the first one's claim and write none.
STAGGER = 1.0
#: Seconds after which a process that has found another's claim looks for a token.
CLAIM_INTERVAL = 2.0
CLAIM_DESCRIPTION = "Made by airflow-provider-bigin: the process that is requesting an access token"
#: Executors that run tasks on the scheduler's machine.
LOCAL_EXECUTORS = {"LocalExecutor", "SequentialExecutor", "DebugExecutor"}


def configured_token_cache(clock: Clock = SYSTEM_CLOCK) -> TokenCache:
    """
    Return the cache selected by ``[bigin] token_cache``.

    :param clock: tells the time and waits.
    :raises BiginConfigurationError: if the option is not valid.
    """
    from airflow.configuration import AIRFLOW_HOME, conf

    kind = conf.get("bigin", "token_cache", fallback="file").strip().lower()
    if kind == "file":
        _warn_of_many_machines(conf.get("core", "executor", fallback=""))
        return FileTokenCache(Path(AIRFLOW_HOME) / "bigin")
    if kind == "variable":
        return VariableTokenCache(clock)
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

    :param clock: tells the time and waits.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock

    def read(self, name: str) -> str | None:
        """Return the text, or None if there is none."""
        return get_variable(_key(name))

    def write(self, name: str, text: str) -> None:
        """Store the text for all processes."""
        set_variable(
            _key(name), text, description="Made by airflow-provider-bigin: an access token, encrypted"
        )

    @contextmanager
    def lock(self, name: str, *, despite: str | None = None) -> Iterator[None]:
        """
        Keep all other processes away from the name, on whatever machine, by a claim in a Variable of its own.

        From Airflow 3 on, a task has no compare-and-set: of several claims, the last one written stays. So a
        claim is a lock only after its confirmation, when everyone who saw no claim either has written one or
        knows to have written too late. A unique row of the metadata database, which tasks of Airflow 2.11
        can reach, would save ``CONFIRM_TIME`` once an hour; that is not worth a second mechanism.
        """
        # A digest without "access_token": Airflow would add each claim to the secrets that it masks in logs.
        key, own = _key(f"claim_{name.rpartition('_')[2]}"), uuid4().hex
        self._claim(key, own, despite)
        try:
            yield
        finally:
            _release(key, own)

    def _claim(self, key: str, own: str, despite: str | None) -> None:
        for delay in (0.0, random.uniform(0, STAGGER)):  # noqa: S311 - no secret
            self._clock.sleep(delay)
            begun = self._clock.monotonic()
            if (holder := get_database_variable(key)) not in (None, despite):
                self._clock.sleep(CLAIM_INTERVAL)
                raise TimeoutError(holder)
        try:
            set_database_variable(key, own, description=CLAIM_DESCRIPTION)
        except Exception:  # before Airflow 3.1, also if others write at the same moment
            if get_database_variable(key) in (None, despite):
                raise
        is_in_time = self._clock.monotonic() - begun < CONFIRM_TIME
        self._clock.sleep(CONFIRM_TIME)
        holder = get_database_variable(key)
        if holder != own or not is_in_time:
            raise TimeoutError(holder)


def _release(key: str, own: str) -> None:
    """Delete one's own claim; if that fails, the others will wait for a while before they ignore it."""
    try:
        if get_database_variable(key) == own:
            delete_database_variable(key)
    except Exception as error:
        log.warning("Airflow Variable %s could not be deleted (%s).", key, type(error).__name__)


def _key(name: str) -> str:
    """Return the Variable's key; that of a token contains ``access_token``, so Airflow hides the value."""
    return f"airflow_provider_bigin_{name}"
