"""A task asks a person on Airflow's page and resumes with the answer, given here through the REST API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AIRFLOW_VERSION, AirflowServer
from tests.system.questions import (
    TASK,
    WAITING,
    answer,
    ask,
    question_url,
    rest_session,
    wait_for_question,
)

pytestmark = pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="asks nobody")


@pytest.fixture
def session(airflow: AirflowServer) -> Iterator[requests.Session]:
    """Return a session with Airflow's REST API."""
    with rest_session(airflow) as session:
        yield session


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
