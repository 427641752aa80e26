"""Make a task ask a person, and answer, as Airflow's page does it through the REST API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AIRFLOW_VERSION, AirflowServer, Run, wait_for

TASK = "send"
WAITING = "awaiting_input" if AIRFLOW_VERSION >= (3, 3) else "deferred"


@contextmanager
def rest_session(airflow: AirflowServer) -> Iterator[requests.Session]:
    """Open a session with Airflow's REST API, which needs no login."""
    with requests.Session() as session:
        session.trust_env = False
        token = session.get(f"http://127.0.0.1:{airflow.port}/auth/token", timeout=30).json()["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


def ask(airflow: AirflowServer, sandbox: SandboxControl, record_id: str, dag_id: str = "ask") -> Run:
    """Make the response to a mail get lost and its record's list of e-mails show nothing."""
    (oncall_id,) = sandbox.add_contacts(1)
    sandbox.add_mail("Contacts", record_id, to=["x@example.net"], ago=90)
    sandbox.settings(emails_key="unknown")
    sandbox.fault("send_mail", "dropped")
    run = airflow.trigger(dag_id, record_id=record_id, oncall_id=oncall_id)
    wait_for("the task looks for the mail", lambda: sandbox.counts()["emails"], timeout=60)
    sandbox.advance(200)  # past the time in which it may still appear in the list
    return run


def question_url(run: Run) -> str:
    """Return the REST API's URL of a run's question."""
    base = f"http://127.0.0.1:{run.server.port}/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}"
    return f"{base}/taskInstances/{TASK}/-1/hitlDetails"


def answer(session: requests.Session, run: Run, option: str) -> None:
    """Answer the question."""
    chosen = {"chosen_options": [option], "params_input": {}}
    session.patch(question_url(run), json=chosen, timeout=90).raise_for_status()


def wait_for_question(run: Run) -> None:
    """
    Wait until a task waits and Airflow's scheduler has noticed.

    Before that, it takes a task that resumes for one that was lost, https://github.com/apache/airflow/issues/71580.
    """
    run.wait_for_task(TASK, WAITING)
    log = run.server.home / "scheduler.log"
    heard = f"Received executor event with state success for task instance .*run_id='{run.run_id}'"
    wait_for("the scheduler hears of it", lambda: re.search(heard, log.read_text()), timeout=60)
