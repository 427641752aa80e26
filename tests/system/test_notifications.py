"""Failures and missed deadlines are reported by mail."""

from __future__ import annotations

import pytest

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AIRFLOW_VERSION, AirflowServer, wait_for


def test_two_failing_tasks_share_a_notifier(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str
) -> None:
    run = airflow.trigger("two_failures", record_id=record_id)

    assert run.wait() == "failed"
    mails = wait_for(
        "both mails arrive",
        lambda: sandbox.mails(record_id) if sandbox.mail_count() == 2 else None,
        timeout=30,
    )
    of_load, of_publish = sorted(mails, key=lambda mail: mail["subject"])
    assert of_load["subject"] == "[Airflow] two_failures.load: failed"
    assert "the column &lt;total&gt; is missing" in of_load["content"]
    assert of_publish["subject"] == "[Airflow] two_failures.publish: failed"
    assert "nobody answers" in of_publish["content"]
    for mail in mails:
        assert run.run_id in mail["content"]


@pytest.mark.skipif(AIRFLOW_VERSION == (3, 0), reason="Airflow 3.0 fails before it calls a backend")
@pytest.mark.skipif(AIRFLOW_VERSION == (3, 2), reason="Airflow 3.2 ignores [email] email_backend")
def test_failure_mail_through_the_email_backend(airflow: AirflowServer, sandbox: SandboxControl) -> None:
    (record_id,) = sandbox.add_records("Contacts", [{"Last_Name": "On Call", "Email": "oncall@example.org"}])
    run = airflow.trigger("failure_with_email")

    assert run.wait() == "failed"
    (mail,) = wait_for("the mail arrives", lambda: sandbox.mails(record_id), timeout=30)
    assert [person["email"] for person in mail["to"]] == ["oncall@example.org"]
    assert mail["from"]["email"] == "ada@example.com"
    assert "failure_with_email" in mail["subject"]
    assert "no data for today" in mail["content"]


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="has no deadlines")
def test_missed_deadline(airflow: AirflowServer, sandbox: SandboxControl, record_id: str) -> None:
    run = airflow.trigger("late", record_id=record_id)

    (mail,) = wait_for("the mail arrives", lambda: sandbox.mails(record_id), timeout=60)
    assert mail["subject"] == "[Airflow] late: deadline missed"
    assert run.run_id in mail["content"]
    assert run.wait() == "success"
