"""A task asks a person on Airflow's page and resumes with the answer, given here through the REST API."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AIRFLOW_VERSION, AirflowServer, Run, wait_for

TASK = "send"
WAITING = "awaiting_input" if AIRFLOW_VERSION >= (3, 3) else "deferred"

pytestmark = pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="asks nobody")


@pytest.fixture
def session(airflow: AirflowServer) -> Iterator[requests.Session]:
    """Return a session with Airflow's REST API, which needs no login."""
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


@pytest.mark.parametrize(
    ("option", "state", "mails"),
    [("It was sent", "success", 0), ("Send it", "success", 1), ("Leave it failed", "failed", 0)],
)
def test_the_task_goes_on_with_the_answer(
    airflow: AirflowServer,
    sandbox: SandboxControl,
    record_id: str,
    session: requests.Session,
    option: str,
    state: str,
    mails: int,
) -> None:
    run = ask(airflow, sandbox, record_id)
    wait_for_question(run)
    question = session.get(question_url(run), timeout=30).json()
    assert question["subject"] == f"Was the mail to Contacts {record_id} sent?"
    assert "It is unknown whether the mail was sent" in question["body"]
    (notice,) = sandbox.mails()[:1]
    assert notice["subject"] == "[Airflow] ask.send: waiting for an answer"
    assert f"/runs/{run.run_id}/tasks/send/required_actions" in notice["content"]
    before = sandbox.mail_count(record_id)

    answer(session, run, option)
    assert run.wait() == state
    assert sandbox.mail_count(record_id) == before + mails
    sent = sandbox.mails(record_id)[0]["message_id"] if mails else None
    assert run.xcom(TASK) == run.xcom(TASK, "message_id") == sent


def test_nobody_answers(airflow: AirflowServer, sandbox: SandboxControl, record_id: str) -> None:
    run = ask(airflow, sandbox, record_id, "ask_in_vain")
    before = sandbox.mail_count(record_id)
    assert run.wait(timeout=200) == "failed"
    assert sandbox.mail_count(record_id) == before
    assert "Nobody answered in time" in run.log(TASK)


def test_an_answer_that_comes_at_once(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str, session: requests.Session
) -> None:
    """Airflow may consider a try failed that resumes within seconds, and start another one."""
    run = ask(airflow, sandbox, record_id)
    before = sandbox.mail_count(record_id)
    run.wait_for_task(TASK, WAITING)
    answer(session, run, "Send it")
    sandbox.settings(emails_key="Emails")
    assert run.wait(timeout=150) == "success"
    assert sandbox.mail_count(record_id) == before + 1
    assert run.xcom(TASK) == sandbox.mails(record_id)[0]["message_id"]
