"""What Airflow tells of the running try of a task, on every version from 2.11 on."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, Protocol

from airflow_provider_bigin.api.errors import BiginTryGivenUpError

log = logging.getLogger(__name__)

#: How far the clocks of Airflow's database and of Bigin may be apart, in seconds, where they have to be
#: compared.
CLOCK_SKEW = 300.0

FINISHED = ("success", "failed", "skipped", "upstream_failed", "removed")
GIVEN_UP = "Airflow has given up on this try of the task, so it sends nothing"


class TaskStateStore(Protocol):
    """What is used of ``context["task_state_store"]``, which Airflow has from 3.3 on."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key."""

    def set(self, key: str, value: Any) -> None:
        """Replace the value of a key."""


@dataclass(frozen=True)
class TaskTry:
    """
    One try of one task instance.

    :param identity: DAG, run, task and map index.
    :param number: of the try, from 1.
    :param max_tries: Airflow's number of the last try; a clear raises it, a retry does not.
    :param first_number: of the first try since the task was last cleared.
    :param begun_at: epoch seconds before which no try since then has started.
    :param store: survives retries; None before Airflow 3.3.
    :param ensure_wanted: asks Airflow, and raises :class:`BiginTryGivenUpError` if it no longer counts on
        this try. A worker that was frozen may wake after its task has failed; the store refuses what it
        writes only if another try followed.
    """

    identity: tuple[str | int, ...]
    number: int
    max_tries: int
    first_number: int
    begun_at: float
    store: TaskStateStore | None
    ensure_wanted: Callable[[], None]

    @property
    def is_retry(self) -> bool:
        """Whether an earlier try since the last clear may have sent something."""
        return self.number > self.first_number

    @property
    def is_last(self) -> bool:
        """Whether Airflow has no retry left."""
        return self.number > self.max_tries

    def announce(self, key: str, value: Any) -> None:
        """
        Write what is about to be sent. If that fails, or Airflow has given up on this try, nothing may be
        sent: another try may be running.
        """
        if self.store is not None:
            try:
                self.store.set(key, value)
            except Exception:
                log.error(
                    "The intent to send could not be written to Airflow's task state store; nothing is sent."
                )
                raise
        self.ensure_wanted()

    def note(self, key: str, value: Any) -> None:
        """
        Write what became of an intent. If that fails the intent stays open, and the next try looks for the
        mail.
        """
        if self.store is None:
            return
        try:
            self.store.set(key, value)
        except Exception as error:
            log.warning(
                "The state of the mail could not be written to Airflow's task state store (%s).",
                type(error).__name__,
            )

    @classmethod
    def from_context(cls, context: Mapping[str, Any]) -> TaskTry:
        """Read the context that Airflow gives to ``execute()``."""
        task_instance, dag_run = context["ti"], context["dag_run"]
        return cls(
            identity=(
                task_instance.dag_id,
                task_instance.run_id,
                task_instance.task_id,
                -1 if task_instance.map_index is None else task_instance.map_index,
            ),
            number=task_instance.try_number,
            max_tries=task_instance.max_tries,
            first_number=first_try_number(
                number=task_instance.try_number,
                max_tries=task_instance.max_tries,
                retries=context["task"].retries,
                was_cleared=getattr(dag_run, "clear_number", None) != 0,
            ),
            begun_at=_begun_at(dag_run),
            store=context.get("task_state_store"),
            ensure_wanted=partial(_ensure_wanted, task_instance),
        )


def first_try_number(*, number: int, max_tries: int, retries: int, was_cleared: bool) -> int:
    """
    Tell the number of the first try since the task was last cleared.

    Clearing sets ``max_tries`` to the last try's number plus ``retries``. If ``retries`` was edited since,
    the result is off; then it is better to take a first try for a retry, which looks before it sends, than
    the other way round.
    """
    first = max_tries - (retries or 0) + 1
    return first if was_cleared and 1 < first <= number else 1


def _begun_at(dag_run: Any) -> float:
    """A run that is cleared after it has finished starts anew; one that is cleared while it runs does not."""
    start = getattr(dag_run, "start_date", None)
    return start.timestamp() - CLOCK_SKEW if start else 0.0


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
    # Keyed by run and then by task, where a mapped task's key ends in its map index.
    if "running" not in states.get(task_instance.run_id, {}).values():
        raise BiginTryGivenUpError(GIVEN_UP)


def _ensure_wanted_by_airflow_2(task_instance: Any) -> None:
    """
    Look into the database, as tasks may there. ``airflow dags test`` runs tasks in state ``scheduled``, and
    ``airflow tasks test`` writes no state at all.
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
    raise BiginTryGivenUpError(GIVEN_UP)


def _end_process() -> NoReturn:
    """
    End without an exception: while the task is not finished, Airflow 2 writes the failure of a try that it
    has given up on over the state of its successor (``TaskInstance.fetch_handle_failure_context`` reads the
    row again and does not compare ``try_number``).
    """
    log.error("%s; its process ends.", GIVEN_UP)
    logging.shutdown()
    os._exit(1)
