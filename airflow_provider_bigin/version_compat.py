"""
The only module that knows which Airflow version is installed.

Names that moved between 2.11 and 3.3 are imported from where each version has them without a deprecation
warning.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from functools import cache, wraps
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from airflow_provider_bigin.api.errors import BiginConfigurationError, BiginValidationError
from airflow_provider_bigin.api.text import encodable, quoted


def _first(name: str, *modules: str) -> Any:
    """Return the name from the first of the modules that has it."""
    for module in modules:
        try:
            return getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise ImportError(f"this version of Airflow does not have {name} in any of {', '.join(modules)}")


if TYPE_CHECKING:
    from airflow.sdk import BaseHook, BaseNotifier, BaseOperator, BaseSensorOperator, PokeReturnValue
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowRescheduleException,
        AirflowTaskTimeout,
    )
else:
    #: Where to find each name, newest Airflow first.
    _MODULES = {
        "AirflowException": ("airflow.sdk.exceptions", "airflow.exceptions"),
        "AirflowFailException": ("airflow.sdk.exceptions", "airflow.exceptions"),
        "AirflowRescheduleException": ("airflow.sdk.exceptions", "airflow.exceptions"),
        "AirflowTaskTimeout": ("airflow.sdk.exceptions", "airflow.exceptions"),
        "BaseHook": ("airflow.sdk", "airflow.hooks.base"),
        "BaseNotifier": ("airflow.sdk", "airflow.notifications.basenotifier"),
        "BaseOperator": ("airflow.sdk", "airflow.models"),
        "BaseSensorOperator": ("airflow.sdk", "airflow.sensors.base"),
        "PokeReturnValue": ("airflow.sdk", "airflow.sensors.base"),
    }

    def __getattr__(name: str) -> Any:
        """Import a name when it is first used, so that an operator does not import sensors."""
        if name not in _MODULES:
            raise AttributeError(name)
        return _first(name, *_MODULES[name])


__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowRescheduleException",
    "AirflowTaskTimeout",
    "BaseHook",
    "BaseNotifier",
    "BaseOperator",
    "BaseSensorOperator",
    "PokeReturnValue",
    "ask_supervisor_one_by_one",
    "can_ask_people",
    "can_reschedule",
    "count",
    "dag_run_url",
    "delete_database_variable",
    "get_database_variable",
    "get_variable",
    "mask_secret",
    "object_storage_path",
    "put_question",
    "redact",
    "set_database_variable",
    "set_variable",
    "task_url",
    "wait_for_answer",
]


def ask_supervisor_one_by_one() -> None:
    """
    Let only one thread at a time talk to the supervisor of an Airflow 3 task.

    Before Airflow 3.2, ``CommsDecoder.send`` has no lock: threads that ask for a variable or a connection at
    the same time receive each other's responses, or wait forever.
    """
    decoder = getattr(sys.modules.get("airflow.sdk.execution_time.comms"), "CommsDecoder", None)
    if decoder is None or hasattr(decoder, "_thread_lock"):
        return
    # Reentrant, for a signal handler that asks while its own thread is asking.
    send, lock = decoder.send, threading.RLock()

    @wraps(send)
    def send_alone(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return send(*args, **kwargs)

    decoder.send, decoder._thread_lock = send_alone, lock


def can_reschedule() -> bool:
    """
    Return whether any task can be rescheduled.

    Before 3.1.7 only sensors can, and all others run again immediately:
    https://github.com/apache/airflow/pull/59604
    """
    from airflow import __version__
    from packaging.version import Version

    return Version(__version__).release >= (3, 1, 7)


def count(name: str, **tags: str) -> None:
    """Increment a counter among Airflow's metrics, on Airflow 3.2 and later."""
    stats = _stats()
    with suppress(Exception):  # a mail does not fail because of a metric
        if stats:
            stats.incr(name, tags=tags)


@cache
def _stats() -> Any:
    with suppress(ImportError):
        return _first("Stats", "airflow.sdk.observability.stats")
    return None


def mask_secret(secret: str) -> None:
    """Mask a secret in Airflow's logs."""
    _first("mask_secret", "airflow.sdk.log", "airflow.utils.log.secrets_masker")(secret)


def get_variable(key: str) -> str | None:
    """Return the value of an Airflow Variable, or None if there is no such variable."""
    variable = _variable()
    is_of_database = variable.__module__.startswith("airflow.models")
    value = variable.get(key, **{"default_var" if is_of_database else "default": None})
    return None if value is None else str(value)


def set_variable(key: str, value: str, *, description: str) -> None:
    """Create or replace an Airflow Variable."""
    _variable().set(key, value, description=description)


def _variable() -> Any:
    """Return the class that asks the supervisor in a task of Airflow 3, and the ORM class elsewhere."""
    return _first("Variable", "airflow.sdk" if _supervisor_comms() else "airflow.models")


def get_database_variable(key: str) -> str | None:
    """
    Return the value of a Variable in the metadata database, or None if there is none.

    This bypasses secrets backends, which ``Variable.get`` asks first; so do the next two functions.
    """
    comms = _supervisor_comms()
    if comms is None:
        with _database_session() as (session, variable):
            row = session.query(variable).filter(variable.key == key).one_or_none()
            return None if row is None else str(row.val)
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.comms import ErrorResponse, GetVariable

    answer = comms.send(GetVariable(key=key))
    if not isinstance(answer, ErrorResponse):
        return str(answer.value)
    if answer.error.value != "VARIABLE_NOT_FOUND":
        raise AirflowRuntimeError(answer)
    return None


def set_database_variable(key: str, value: str, *, description: str) -> None:
    """Create or replace a Variable in the metadata database."""
    comms = _supervisor_comms()
    if comms is None:
        with _database_session() as (session, variable):
            session.query(variable).filter(variable.key == key).delete()
            session.add(variable(key=key, val=value, description=description))
        return
    from airflow.sdk.execution_time.comms import PutVariable

    _refuse_error(comms.send(PutVariable(key=key, value=value, description=description)))


def delete_database_variable(key: str) -> None:
    """Delete a Variable in the metadata database, if there is one."""
    comms = _supervisor_comms()
    if comms is None:
        with _database_session() as (session, variable):
            session.query(variable).filter(variable.key == key).delete()
        return
    from airflow.sdk.execution_time.comms import DeleteVariable

    if get_database_variable(key) is not None:  # Airflow complains about one that does not exist
        _refuse_error(comms.send(DeleteVariable(key=key)))


def _supervisor_comms() -> Any:
    """Return an Airflow 3 task's connection to its supervisor; None elsewhere."""
    return getattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS", None)


@contextmanager
def _database_session() -> Iterator[tuple[Any, Any]]:
    """Open a session of the metadata database, and provide its Variable class."""
    from airflow.models import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        yield session, Variable


def _refuse_error(answer: Any) -> None:
    from airflow.sdk.exceptions import AirflowRuntimeError
    from airflow.sdk.execution_time.comms import ErrorResponse

    if isinstance(answer, ErrorResponse):
        raise AirflowRuntimeError(answer)


def object_storage_path(url: str) -> Any:
    """
    Return Airflow's path object for a URL such as ``s3://conn@bucket/key``.

    :raises BiginValidationError: if there is no such kind of storage.
    :raises BiginConfigurationError: if it does not work with the installed ``universal-pathlib``.
    """
    try:
        return _first("ObjectStoragePath", "airflow.sdk", "airflow.io.path")(url)
    except ValueError as error:
        raise BiginValidationError(f"{quoted(url)}: not a valid object storage URL ({error})") from error
    except TypeError as error:  # Airflow 3.0 allows 0.3, which its class was not written for
        raise BiginConfigurationError(
            f"{url!r}: this Airflow's object storage does not work with the installed universal-pathlib "
            f"({error}). Airflow 3.0 needs universal-pathlib<0.3."
        ) from error


def redact(text: str) -> str:
    """
    Return text without the secrets that Airflow masks in its logs.

    The text is made encodable first, because Airflow 2 does not mask secrets in text that cannot be encoded.
    """
    return str(
        _first(
            "redact",
            "airflow.sdk.log",
            "airflow.sdk._shared.secrets_masker",
            "airflow.sdk.execution_time.secrets_masker",
            "airflow.utils.log.secrets_masker",
        )(encodable(text))
    )


def can_ask_people() -> bool:
    """Return whether this version of Airflow can ask people questions: from 3.1 on."""
    try:
        return find_spec("airflow.sdk.execution_time.hitl") is not None
    except ModuleNotFoundError:
        return False


def put_question(
    ti: Any, *, subject: str, body: str, options: Sequence[str], users: Sequence[Mapping[str, str]]
) -> None:
    """Put a question on a task's page; if there is one already, Airflow keeps it and removes its answer."""
    from airflow.sdk.execution_time.hitl import HITLUser, upsert_hitl_detail

    upsert_hitl_detail(
        ti_id=ti.id,
        options=[*options],
        subject=subject,
        body=body,
        params={},
        assigned_users=[HITLUser(id=user["id"], name=user["name"]) for user in users],
    )


def wait_for_answer(
    task: BaseOperator,
    ti: Any,
    *,
    options: Sequence[str],
    timeout: timedelta,
    method_name: str,
    arguments: dict[str, Any],
) -> NoReturn:
    """
    Suspend the try until somebody has answered or the time is up; then a method of the task continues.

    :raises BaseException: the exception that Airflow uses for this: from 3.3 on the task waits by itself,
        in earlier versions in the triggerer.
    """
    try:
        from airflow.sdk.exceptions import TaskAwaitingInput
    except ImportError:
        from airflow.providers.standard.triggers.hitl import HITLTrigger

        until = datetime.now(timezone.utc) + timeout
        trigger = HITLTrigger(ti_id=ti.id, options=[*options], params={}, timeout_datetime=until)
        task.defer(trigger=trigger, method_name=method_name, kwargs=arguments)
    raise TaskAwaitingInput(method_name=method_name, kwargs=arguments, timeout=timeout)


def task_url(ti: Any) -> str:
    """Return the URL of a task's page in Airflow 3."""
    map_index = f"/mapped/{ti.map_index}" if ti.map_index is not None and ti.map_index >= 0 else ""
    return f"{dag_run_url(ti.dag_id, ti.run_id)}/tasks/{quote(ti.task_id)}{map_index}"


def dag_run_url(dag_id: str, run_id: str) -> str:
    """Return the URL of a run's page, which ``ti.log_url`` starts with."""
    from airflow.configuration import conf

    if find_spec("airflow.sdk"):
        base_url, page = conf.get("api", "base_url", fallback="http://localhost:8080"), "runs/"
    else:
        base_url, page = conf.get("webserver", "base_url"), "grid?dag_run_id="
    return f"{base_url.rstrip('/')}/dags/{quote(dag_id)}/{page}{quote(run_id)}"
