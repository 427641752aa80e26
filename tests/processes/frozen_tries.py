"""
The code that runs in tries of a task that are separate processes, which can be stopped and continued.

A process uses either the real clock or the sandbox's, on which waiting takes no time. An order can disable a
protection, so that tests can show that it is needed.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import airflow_provider_bigin.delivery.engine as engine
import airflow_provider_bigin.delivery.journal as journal
import airflow_provider_bigin.delivery.lookup as lookup
from airflow_provider_bigin.api import client
from airflow_provider_bigin.hooks.bigin import BiginHook
from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator, BiginSendMailOperator
from tests.processes.senders import SandboxTime
from tests.task_instance import StateStore, TaskInstance, Variables

#: The points at which a process can stop itself.
POINTS: dict[str, tuple[Any, str]] = {
    "default sender": (client.BiginClient, "get_from_addresses"),
    "intent": (journal.Journal, "record_intents"),
    "POST": (journal.Journal, "ensure_postable"),
    # After the last check. The first request with a token, as the connection names a sender.
    "first byte": (client, "_authorized"),
    "end": (journal.Journal, "complete"),
}
CONSTANTS = {
    "LEASE": (engine, journal),
    "SETTLING": (engine, lookup),
    "CLOCK_TOLERANCE": (lookup,),
    "WRITE_PATIENCE": (journal,),
    "MAX_DATE_AGE": (client,),
}


class SharedTaskInstance(TaskInstance):
    """A task instance whose state all processes know."""

    @property
    def state(self) -> str:  # type: ignore[override]
        return self._file.read_text()

    @state.setter
    def state(self, state: str) -> None:
        self._file.write_text(state)

    @property
    def _file(self) -> Path:
        assert self.store
        return self.store.path.with_name("task_state")


@dataclass(frozen=True)
class Order:
    """
    What a try should do.

    :param connection: the connection to the sandbox, in the JSON form of ``AIRFLOW_CONN_...`` variables.
    :param directory: where the task's state is kept.
    :param kind: the kind of state store.
    :param record_ids: one mail for each; a single mail is sent by the operator for one mail.
    :param start: the start of the run, in epoch seconds.
    :param number: the number of the try.
    :param stops_before: a point of :data:`POINTS` at which the process stops itself, the first time.
    :param constants: durations in seconds that override the package's.
    :param without: what it lacks: a ``lease`` that ends, or the ``refusal`` of its writes once it was
        replaced.
    :param switches_often: switch between threads as often as possible.
    :param sandbox_time: use the sandbox's clock.
    """

    connection: dict[str, Any]
    directory: str
    kind: Literal["store", "variables"]
    record_ids: list[str]
    start: float
    number: int = 1
    stops_before: str | None = None
    constants: dict[str, float] = field(default_factory=dict)
    without: Literal["lease", "refusal"] | None = None
    switches_often: bool = False
    sandbox_time: bool = False


def run_try(order: Order, answer: Connection) -> None:
    """Run a try in this process and report its result or its error."""
    os.environ["AIRFLOW_CONN_BIGIN_DEFAULT"] = json.dumps(order.connection)
    os.environ["AIRFLOW__BIGIN__TOKEN_CACHE"] = "none"
    if order.switches_often:
        sys.setswitchinterval(1e-6)
    if order.sandbox_time:
        BiginHook.clock = SandboxTime(order.connection["extra"]["accounts_server"])
    for name, seconds in order.constants.items():
        for module in CONSTANTS[name]:
            setattr(module, name, seconds)
    if order.without == "lease":
        journal.LEASE = 1e6  # but not in the windows of its intents, which others believe
    if order.stops_before:
        _stop_before(*POINTS[order.stops_before])
    instance = SharedTaskInstance(_task(order.record_ids), store=_store(order), start=order.start)
    instance.try_number = order.number
    if order.without == "refusal":
        StateStore._is_replaced = lambda self: False  # type: ignore[method-assign]
        journal.Journal._ensure_owner = lambda self, **how: None  # type: ignore[method-assign]
    try:
        result = instance.run()
    except Exception as error:
        answer.send((type(error).__name__, str(error)))
    else:
        instance.state = "success"
        answer.send(("success", result))


def _stop_before(owner: Any, name: str) -> None:
    function: Callable[..., Any] = getattr(owner, name)
    first = threading.Lock()

    @wraps(function)
    def stop_first(*args: Any, **kwargs: Any) -> Any:
        if first.acquire(blocking=False):
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # all threads; this one at once
        return function(*args, **kwargs)

    setattr(owner, name, stop_first)


def _store(order: Order) -> StateStore:
    path = Path(order.directory, "state.db")
    if order.kind == "store":
        return StateStore(path)
    variables = Variables(path)
    variables.replace_airflows()
    return variables


def _task(record_ids: list[str]) -> Any:
    arguments: dict[str, Any] = {"task_id": "mail", "retries": 3, "subject": "Hello", "content": "<p>Hi</p>"}
    mails = [{"record_id": record_id, "to": f"{record_id}@example.org"} for record_id in record_ids]
    if len(mails) == 1:
        return BiginSendMailOperator(**arguments, **mails[0])
    return BiginBulkSendMailOperator(**arguments, mails=mails)
