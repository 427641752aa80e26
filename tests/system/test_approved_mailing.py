"""The example DAG of an approved mailing, with approval through the REST API."""

from __future__ import annotations

import pytest
import requests

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AIRFLOW_VERSION, AirflowServer, Run, wait_for

pytestmark = pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="asks nobody")


@pytest.fixture
def person(airflow: AirflowServer) -> requests.Session:
    """Return a session with Airflow's REST API for a logged-in user."""
    session = requests.Session()
    token = session.get(f"http://127.0.0.1:{airflow.port}/auth/token", timeout=30).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return session


def question_address(run: Run) -> str:
    """Return the URL at which the question is read and answered."""
    tasks = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
    return f"http://127.0.0.1:{run.server.port}{tasks}/approve/-1/hitlDetails"


def wait_for_question(run: Run) -> None:
    """
    Wait until the task is asking and the scheduler knows that its process has ended.

    Until then, the scheduler takes a task that resumes for one that was killed.
    """
    waiting = f"task_id='approve', run_id='{run.run_id}'"

    def is_parked() -> bool:
        log = (run.server.home / "scheduler.log").read_text()
        return any(waiting in line for line in log.splitlines() if "Received executor event" in line)

    wait_for(f"{run} asks", is_parked, timeout=90)


@pytest.mark.parametrize(("answer", "state", "mails"), [("Approve", "success", 2), ("Reject", "skipped", 0)])
def test_a_person_decides_whether_the_mails_leave(
    airflow: AirflowServer,
    sandbox: SandboxControl,
    person: requests.Session,
    answer: str,
    state: str,
    mails: int,
) -> None:
    run = airflow.trigger("bigin_approved_mailing")
    wait_for_question(run)
    question = person.get(question_address(run), timeout=30).json()
    assert question["subject"] == "Send 2 mails?"
    assert "`Grace <grace.hopper@example.org>` | `Grace, you are invited`" in question["body"]
    assert "Dear Grace," in question["body"]
    assert sandbox.mails() == []

    answered = person.patch(question_address(run), json={"chosen_options": [answer]}, timeout=30)
    assert answered.ok, answered.text
    assert run.wait() == "success"
    assert run.task("send")["state"] == state
    assert sandbox.mail_count() == mails
