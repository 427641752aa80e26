"""As much of a task instance as it takes to run an operator's tries without a scheduler."""

from __future__ import annotations

import json
import secrets
import sqlite3
import uuid
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def let_operators_run_by_themselves() -> None:
    """Suppress Airflow's warning that an operator is executed outside its task runner."""
    try:
        from airflow.sdk.bases.operator import ExecutorSafeguard
    except ImportError:  # Airflow 2
        from airflow.models.baseoperator import ExecutorSafeguard
    ExecutorSafeguard.test_mode = True


class StateStore:
    """
    Airflow 3.3's task state store, in a file that survives the processes that use it.

    As in Airflow, a process whose try was replaced writes nothing and finds nothing.

    :param path: the SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writes = 0
        self._try_id: str | None = None
        with closing(self._connect()) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT)")
            connection.execute("CREATE TABLE IF NOT EXISTS tries (id TEXT)")

    def begin_try(self) -> None:
        """Start a try in this process, which replaces the previous one."""
        self._try_id = secrets.token_hex(8)
        with closing(self._connect()) as connection:
            connection.execute("INSERT INTO tries VALUES (?)", (self._try_id,))

    def get(self, key: str, default: Any = None) -> Any:
        if self._is_replaced():
            return default
        with closing(self._connect()) as connection:
            row = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return json.loads(row[0]) if row else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        assert value is not None
        assert value == json.loads(json.dumps(value))  # Airflow refuses what is not JSON, such as a tuple
        if self._is_replaced():
            raise RuntimeError("404: the task instance is not found")
        self.writes += 1
        with closing(self._connect()) as connection:
            connection.execute("REPLACE INTO state VALUES (?, ?)", (key, json.dumps(value)))

    def delete(self, key: str) -> None:
        with closing(self._connect()) as connection:
            connection.execute("DELETE FROM state WHERE key = ?", (key,))

    def stored(self) -> dict[str, Any]:
        """Return all values by key."""
        with closing(self._connect()) as connection:
            rows = connection.execute("SELECT key, value FROM state ORDER BY key").fetchall()
        return {key: json.loads(value) for key, value in rows}

    def _is_replaced(self) -> bool:
        if not self._try_id:
            return False
        with closing(self._connect()) as connection:
            newest = connection.execute("SELECT id FROM tries ORDER BY rowid DESC LIMIT 1").fetchone()
        return bool(newest != (self._try_id,))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=30)
        connection.execute("PRAGMA synchronous = OFF")  # processes die here, not machines
        return connection


class Variables(StateStore):
    """The Variables of Airflow's database, for tasks below Airflow 3.3, which anybody may write."""

    def begin_try(self) -> None:
        """Replace no other try."""

    def replace_airflows(self) -> None:
        """Make the package use these Variables, as long as this process or a test's patch lasts."""
        from airflow_provider_bigin.delivery import store

        store.get_database_variable = self._get_text
        store.set_database_variable = lambda key, value, description: self.set(key, json.loads(value))
        store.delete_database_variable = self.delete

    def _get_text(self, key: str) -> str | None:
        value = self.get(key)
        return None if value is None else json.dumps(value)


class TaskInstance:
    """
    One task instance across its tries.

    :param task: the operator, whose ``retries`` Airflow would follow.
    :param store: the task state store; or Variables, as before Airflow 3.3; None if nothing is kept.
    :param start: epoch seconds at which the run starts.
    """

    def __init__(self, task: Any, *, store: StateStore | None, start: float, run_id: str = "run") -> None:
        self.task = task
        self.store = store
        self.run_id = run_id
        self.try_number = 1
        self.max_tries = task.retries
        self.clear_number = 0
        self.reschedules = 0
        self.start = self.run_after = start
        self.state = "running"
        self.id = uuid.uuid4()
        self.xcoms: dict[str, Any] = {}

    def context(self) -> dict[str, Any]:
        """Return the context that ``execute()`` gets in the current try."""
        ti = SimpleNamespace(
            id=self.id,
            dag_id="dag",
            run_id=self.run_id,
            task_id=self.task.task_id,
            map_index=-1,
            try_number=self.try_number,
            max_tries=self.max_tries,
            xcom_push=lambda key, value: self.xcoms.update({key: value}),
            get_first_reschedule_date=lambda context: datetime.fromtimestamp(self.start, timezone.utc),
            get_task_states=lambda **which: {self.run_id: {self.task.task_id: self.state}},
        )
        dag_run = SimpleNamespace(
            start_date=datetime.fromtimestamp(self.start, timezone.utc),
            run_after=self.run_after,
            clear_number=self.clear_number,
        )
        context = {"ti": ti, "task_instance": ti, "task": self.task, "dag_run": dag_run, "ds": "2026-11-23"}
        context["task_reschedule_count"] = self.reschedules
        has_store = self.store and not isinstance(self.store, Variables)
        return context | ({"task_state_store": self.store} if has_store else {})

    def run(self) -> Any:
        """Run one try; exceptions are the task's."""
        self.xcoms = {}
        let_operators_run_by_themselves()
        if self.store:
            self.store.begin_try()
        return self.task.execute(self.context())

    def resume(self, waiting: Any, event: dict[str, Any]) -> Any:
        """
        Resume a try that waits, as Airflow does.

        :param waiting: what it raised in order to wait.
        :param event: what it waited for.
        """
        self.xcoms = {}
        return getattr(self.task, waiting.method_name)(self.context(), **waiting.kwargs, event=event)

    def run_to_the_end(self, between: Any = lambda: None) -> Any:
        """
        Run tries until one succeeds, fails for good, or was the last; its exception is the task's.

        A rescheduled try runs again when it is due.

        :param between: called before each retry.
        """
        from airflow_provider_bigin.version_compat import AirflowFailException, AirflowRescheduleException

        while True:
            try:
                return self.run()
            except AirflowFailException:
                raise
            except AirflowRescheduleException as wait:
                clock = self.task.hook.clock
                clock.sleep(wait.reschedule_date.timestamp() - clock.time())
                self.run_again()
                continue
            except Exception:
                if self.try_number > self.max_tries:
                    raise
            self.retry()
            between()

    def retry(self) -> None:
        """Start the next try, as Airflow does after a failure."""
        self.try_number += 1
        self.reschedules = 0

    def run_again(self) -> None:
        """Start the same try again, as Airflow does after a reschedule."""
        self.reschedules += 1

    def clear(self, now: float) -> None:
        """Clear the task after it has ended, as a person would."""
        self.max_tries = self.try_number + self.task.retries
        self.retry()
        self.clear_number += 1
        self.start = now
