"""What Airflow says about the running try of a task, and where its state is kept, from 2.11 on."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NoReturn

from airflow_provider_bigin.api.errors import BiginConfigurationError, BiginStaleAttemptError
from airflow_provider_bigin.delivery.identity import digest, first_try_since_clear
from airflow_provider_bigin.delivery.store import NoStore, StateStore, TaskStateStore, VariableStore

log = logging.getLogger(__name__)

FINISHED = ("success", "failed", "skipped", "upstream_failed", "removed")
GIVEN_UP = "Airflow has given up on this try of the task, so it sends nothing"


@dataclass(frozen=True)
class TaskAttempt:
    """
    One try of one task instance.

    :param identity: DAG, run, task, and map index; and the operator, if it runs inside another task.
    :param number: number of the try, from 1.
    :param max_tries: Airflow's number of the last try; a clear raises it, a retry does not.
    :param clear_number: how many times the run was cleared.
    :param retries: the task's current number of retries.
    :param run: value that tells runs with the same id apart.
    :param run_start: when the run started, in epoch seconds; None if Airflow does not say.
    :param is_inner: whether the operator runs inside another task.
    :param is_again: whether this try has run before and waited, so that its number is not a new one.
    :param store: store that survives retries.
    :param ensure_wanted: asks Airflow, and raises :class:`BiginStaleAttemptError` if it no longer wants
        this try. A worker that was frozen may wake after its task has failed or been replaced.
    :param began: asks Airflow when a try that runs again first ran, in epoch seconds.
    """

    identity: tuple[str | int, ...]
    number: int
    max_tries: int
    clear_number: int
    retries: int
    run: str
    run_start: float | None
    is_inner: bool
    is_again: bool
    store: StateStore
    ensure_wanted: Callable[[], None]
    began: Callable[[], float | None]

    @property
    def first_number(self) -> int:
        """The number of the first try since the task was last cleared."""
        first = first_try_since_clear(max_tries=self.max_tries, retries=self.retries)
        return max(1, min(self.number, first))

    @property
    def is_last(self) -> bool:
        """Whether Airflow has no retry left."""
        return self.number > self.max_tries

    @property
    def can_resume(self) -> bool:
        """Whether Airflow resumes this operator after a wait, and finds its state."""
        return self.store.keeps and not self.is_inner

    @classmethod
    def from_context(
        cls,
        context: Mapping[str, Any],
        task: Any,
        *,
        describe: Callable[[], str],
        is_resumed: bool = False,
    ) -> TaskAttempt:
        """
        Read the context that Airflow passes to ``execute()``.

        :param task: the operator being executed.
        :param describe: describes its mails; called if it runs inside another task, to tell it from others.
        :param is_resumed: whether the try resumes after waiting for a person.
        :raises BiginConfigurationError: if ``[bigin] state`` is not a valid value.
        """
        ti, dag_run = context["ti"], context["dag_run"]
        map_index = -1 if ti.map_index is None else ti.map_index
        identity: tuple[str | int, ...] = (ti.dag_id, ti.run_id, ti.task_id, map_index)
        is_inner = not is_same_task(context["task"], task)
        if is_inner:
            identity = (*identity, _inner_key(ti, task.task_id, describe()))
        start = getattr(dag_run, "start_date", None)
        return cls(
            identity=identity,
            number=max(1, ti.try_number),  # `airflow tasks test` of Airflow 2 counts no tries
            max_tries=ti.max_tries,
            clear_number=getattr(dag_run, "clear_number", None) or 0,
            retries=context["task"].retries or 0,
            # Airflow 2 provides the id of its database row, Airflow 3 the time when the run was due.
            run=str(getattr(dag_run, "run_after", None) or getattr(dag_run, "id", "")),
            run_start=float(int(start.timestamp())) if start else None,
            is_inner=is_inner,
            is_again=is_resumed or bool(context.get("task_reschedule_count")),
            store=_configured_store(context, identity),
            ensure_wanted=partial(_ensure_wanted, ti),
            began=partial(_first_run, ti, context),
        )


def _configured_store(context: Mapping[str, Any], identity: tuple[str | int, ...]) -> StateStore:
    from airflow.configuration import conf

    kind = conf.get("bigin", "state", fallback="auto").strip().lower()
    if kind == "none":
        return NoStore()
    if kind != "auto":
        raise BiginConfigurationError(
            f"[bigin] state = {kind!r} in the Airflow configuration: use auto or none"
        )
    store = context.get("task_state_store")
    return VariableStore(identity) if store is None else TaskStateStore(store, *identity[4:])


def is_same_task(outer: Any, task: Any) -> bool:
    """Return whether an operator is the task itself; Airflow 2 executes a copy."""
    return outer is task or (type(outer) is type(task) and outer.task_id == task.task_id)


#: The task instance that executes operators in its body, and how many identical ones it has executed.
_inner: tuple[Any, Counter[str]] = (None, Counter())


def _inner_key(ti: Any, task_id: str, description: str) -> str:
    """Name an operator inside another task by its id, its mails, and its number among identical ones."""
    global _inner
    if _inner[0] is not ti:
        _inner = (ti, Counter())
    key = digest(f"{task_id}\n{description}")
    _inner[1][key] += 1
    return f"{key}-{_inner[1][key]}"


def _first_run(task_instance: Any, context: Mapping[str, Any]) -> float | None:
    start = task_instance.get_first_reschedule_date(context)
    return start.timestamp() if start else None


def _ensure_wanted(task_instance: Any) -> None:
    if not hasattr(task_instance, "get_task_states"):
        _ensure_wanted_by_airflow_2(task_instance)
        return
    is_mapped = task_instance.map_index is not None and task_instance.map_index >= 0
    states = task_instance.get_task_states(
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=task_instance.map_index if is_mapped else None,
    )
    # Keyed by run, then by task; a mapped task's key ends in its map index.
    if "running" not in states.get(task_instance.run_id, {}).values():
        raise BiginStaleAttemptError(GIVEN_UP)


def _ensure_wanted_by_airflow_2(task_instance: Any) -> None:
    """
    Look in the database, which Airflow 2 allows tasks to do.

    ``airflow dags test`` runs tasks in state ``scheduled``; ``airflow tasks test`` writes no state at all.
    """
    if getattr(task_instance, "test_mode", False):
        return
    row = type(task_instance).get_task_instance(
        dag_id=task_instance.dag_id,
        run_id=task_instance.run_id,
        task_id=task_instance.task_id,
        map_index=task_instance.map_index,
    )
    if row and row.try_number == task_instance.try_number and row.state in ("running", "scheduled"):
        return
    if row and row.state not in FINISHED:
        _end_process()
    raise _stale_attempt_error()(GIVEN_UP)


@cache
def _stale_attempt_error() -> type[BiginStaleAttemptError]:
    """
    Return the error as one of Airflow's own.

    Airflow 2 writes the failure of a try over the state of a task that is finished, unless it fails with an
    ``AirflowException`` (``TaskInstance._run_raw_task``).
    """
    from airflow_provider_bigin.version_compat import AirflowException

    class StaleAttemptError(BiginStaleAttemptError, AirflowException):
        """Airflow has given up on this try."""

    return StaleAttemptError


def _end_process() -> NoReturn:
    """
    Exit without an exception.

    Until the task is finished, Airflow 2 writes the failure of a try that it has given up on over the state
    of its successor (``TaskInstance.fetch_handle_failure_context`` reads the row again and does not compare
    ``try_number``).
    """
    log.error("%s; its process exits.", GIVEN_UP)
    logging.shutdown()
    os._exit(1)
