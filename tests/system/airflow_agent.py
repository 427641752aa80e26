"""
Do inside Airflow what a person does in its web interface, and read what its pages show.

The tests do not import Airflow: one process of this module serves them all, in the same way on every Airflow.
It reads requests, one per line, ``[function, {argument: value}]``, and writes a line of JSON for each to the
file descriptor that its argument names.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime, timedelta
from importlib import import_module
from operator import attrgetter
from typing import Any, TextIO

from airflow import __version__
from airflow.api.common.trigger_dag import trigger_dag
from airflow.jobs.job import Job
from airflow.models import Connection, DagModel, DagRun, TaskInstance, Variable
from airflow.models.errors import ParseImportError
from airflow.models.taskinstance import clear_task_instances
from airflow.models.taskreschedule import TaskReschedule
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from sqlalchemy import select

if int(__version__.split(".")[0]) >= 3:
    from airflow.models.xcom import XComModel as XCom
    from airflow.utils.types import DagRunTriggeredByType

    triggered_by = {"triggered_by": DagRunTriggeredByType.TEST}
    pushed_value = XCom.deserialize_value
else:
    from airflow.models import XCom

    triggered_by = {}
    pushed_value = attrgetter("value")  # deserialized as the row is loaded

#: What the tests want to know about a task instance.
COLUMNS = ("task_id", "map_index", "state", "try_number", "max_tries", "pid", "hostname")


def running_jobs() -> list[str]:
    """Return the types of the jobs that have sent a heartbeat in the last seconds."""
    with create_session() as session:
        jobs = session.scalars(select(Job).filter_by(state="running"))
        return sorted({job.job_type for job in jobs if _age(job.latest_heartbeat) < timedelta(seconds=10)})


def _age(moment: datetime) -> timedelta:
    return datetime.now(moment.tzinfo) - moment


def has_dag(dag_id: str) -> bool:
    """Return whether the DAG's file has been parsed."""
    return DagModel.get_current(dag_id) is not None


def import_errors() -> list[str]:
    """Return the traceback of each DAG file that could not be imported."""
    with create_session() as session:
        return [error.stacktrace for error in session.scalars(select(ParseImportError))]


def trigger(dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
    """Start a run."""
    # Airflow 2 identifies runs by this time: two runs in the same second differ only in its fraction.
    trigger_dag(dag_id, run_id=run_id, conf=conf, replace_microseconds=False, **triggered_by)


def run_state(dag_id: str, run_id: str) -> str:
    """Return the state of a run."""
    with create_session() as session:
        return str(session.scalars(select(DagRun).filter_by(dag_id=dag_id, run_id=run_id)).one().state)


def task_instances(dag_id: str, run_id: str) -> list[dict[str, Any]]:
    """Return the task instances of a run."""
    with create_session() as session:
        instances = session.scalars(select(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id))
        return [{column: getattr(instance, column) for column in COLUMNS} for instance in instances]


def xcom(dag_id: str, run_id: str, task_id: str, key: str, map_index: int) -> Any:
    """Return what a task has pushed, or None."""
    with create_session() as session:
        pushed = select(XCom).filter_by(
            dag_id=dag_id, run_id=run_id, task_id=task_id, key=key, map_index=map_index
        )
        row = session.scalars(pushed).one_or_none()
        return pushed_value(row) if row else None


def kept_state(dag_id: str, run_id: str) -> list[str]:
    """Return the keys of the Variables in which tasks of a run keep their state."""
    with create_session() as session:
        ours = Variable.description.contains(f"{dag_id}.{run_id}.")
        return sorted(session.scalars(select(Variable.key).where(ours)))


def clear(dag_id: str, run_id: str, task_id: str) -> None:
    """Clear a task, so that it runs again."""
    with create_session() as session:
        instances = session.scalars(
            select(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id, task_id=task_id)
        )
        clear_task_instances(instances.all(), session)


def end_waits(dag_id: str, run_id: str) -> list[float]:
    """Make the rescheduled tasks of a run due and return how many seconds each had left."""
    with create_session() as session:
        waiting = select(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id, state="up_for_reschedule")
        seconds = []
        for instance in session.scalars(waiting):
            newest = session.scalars(TaskReschedule.stmt_for_task_instance(instance, descending=True)).first()
            seconds.append(-_age(newest.reschedule_date).total_seconds())
            newest.reschedule_date -= timedelta(seconds=max(0.0, seconds[-1]))
        return seconds


def defer(dag_id: str, run_id: str, trigger: str, arguments: dict[str, Any]) -> None:
    """Make each task instance of a run wait for a trigger, without a worker that defers it."""
    if "moment" in arguments:  # JSON has no times
        arguments["moment"] = datetime.fromisoformat(arguments["moment"])
    module, name = trigger.rsplit(".", 1)
    trigger_class = getattr(import_module(module), name)
    # Airflow 2 has one session per thread, which creating a row ends, so the rows are created first.
    rows = [Trigger.from_object(trigger_class(**arguments)) for _ in task_instances(dag_id, run_id)]
    with create_session() as session:
        session.add_all(rows)
        session.flush()
        instances = session.scalars(select(TaskInstance).filter_by(dag_id=dag_id, run_id=run_id))
        for instance, row in zip(instances, rows, strict=True):
            instance.trigger_id = row.id
            instance.state = "deferred"


def variables() -> dict[str, str]:
    """Return all Variables."""
    with create_session() as session:
        return {variable.key: variable.get_val() for variable in session.scalars(select(Variable))}


def delete_variables(prefix: str) -> None:
    """Delete the Variables whose keys begin like this."""
    with create_session() as session:
        for variable in session.scalars(select(Variable).where(Variable.key.startswith(prefix))):
            session.delete(variable)


def add_connection(conn_id: str, connection: dict[str, Any]) -> None:
    """Store a connection."""
    with create_session() as session:
        session.add(Connection(conn_id=conn_id, **connection))


def stored_connection(conn_id: str) -> dict[str, Any]:
    """Return the password and the extra of a connection, unmasked."""
    with create_session() as session:
        connection = session.scalars(select(Connection).filter_by(conn_id=conn_id)).one()
        return {"password": connection.password, "extra": json.loads(connection.extra)}


def answer_requests(requests: TextIO, answers: TextIO) -> None:
    """Serve requests until there are no more."""
    for line in requests:
        function, arguments = json.loads(line)
        try:
            answer = {"result": globals()[function](**arguments)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    # Standard output is Airflow's: it logs there.
    answer_requests(sys.stdin, os.fdopen(int(sys.argv[1]), "w"))
