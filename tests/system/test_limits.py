"""Limits are waited out without a worker slot and without a retry, as the tasks have none."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AIRFLOW_VERSION, AirflowServer, Run, wait_for

TASK = "send"
DAY = 86400

pytestmark = pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="only sensors can be put off")


@pytest.fixture
def record_ids(sandbox: SandboxControl) -> list[str]:
    """Return records for seven mails, of which Bigin sends three per day."""
    sandbox.settings(daily_mail_limit=3)
    return sandbox.add_contacts(7)


def begin_day(run: Run, sandbox: SandboxControl, days: int) -> None:
    """Move to the next day, for Bigin and for the task that waits for it."""
    run.wait_until_put_off(TASK, times=days)
    assert sandbox.mail_count() == 3 * days
    (seconds,) = run.ask("end_waits")
    assert 0 < seconds <= DAY
    sandbox.advance(DAY)


def test_seven_mails_leave_in_three_days(
    airflow: AirflowServer, sandbox: SandboxControl, record_ids: list[str]
) -> None:
    run = airflow.trigger("few_mails_a_day", record_ids=record_ids)
    for days in (1, 2):
        begin_day(run, sandbox, days)

    assert run.wait() == "success"
    assert sandbox.mail_counts() == dict.fromkeys(record_ids, 1)
    task = run.task(TASK)
    assert (task["try_number"], task["max_tries"]) == (1, 0)
    result = run.xcom(TASK)
    assert (result["sent"], result["already_sent"]) == (1, 6)
    assert "with 4 of 7 mails left" in run.log(TASK)
    assert run.ask("kept_state") == []

    sandbox.settings(daily_mail_limit=None)
    run.clear(TASK)
    assert run.wait() == "success"
    assert sandbox.mail_counts() == dict.fromkeys(record_ids, 2)


def test_cleared_while_it_waits(
    airflow: AirflowServer, sandbox: SandboxControl, record_ids: list[str]
) -> None:
    run = airflow.trigger("few_mails_a_day", record_ids=record_ids)
    run.wait_until_put_off(TASK)
    run.clear(TASK)
    run.wait_until_put_off(TASK, times=2)
    assert run.task(TASK)["try_number"] == 2
    assert sandbox.mail_count() == 3

    sandbox.settings(daily_mail_limit=None)
    run.ask("end_waits")
    assert run.wait() == "success"
    assert sandbox.mail_counts() == dict.fromkeys(record_ids, 1)


def test_scheduler_and_worker_killed(
    airflow: AirflowServer, sandbox: SandboxControl, record_ids: list[str]
) -> None:
    run = airflow.trigger("few_mails_a_day", record_ids=record_ids)
    run.wait_until_put_off(TASK)
    airflow.kill_component("scheduler")
    sandbox.settings(daily_mail_limit=None)
    sandbox.fault("send_mail", "slow", seconds=60)
    run.ask("end_waits")
    airflow.start_component("scheduler")

    wait_for("Bigin takes a mail", lambda: sandbox.mail_count() > 3, timeout=90)
    task = run.process(TASK)
    for process in (task.parent(), task):
        process.kill()
    assert run.wait() == "failed"  # there is no retry: a person has to clear it
    sandbox.clear_faults()
    sandbox.advance(300)  # a mail that is not in the list by then will not arrive
    run.clear(TASK)
    assert run.wait() == "success"
    assert sandbox.mail_counts() == dict.fromkeys(record_ids, 1)


def test_a_throttled_token_holds_no_slot(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str
) -> None:
    sandbox.throttle_tokens(DAY)
    run = airflow.trigger("throttled", record_id=record_id)
    run.wait_until_put_off(TASK)  # all twenty, which is more than there are slots
    assert len(run.tasks(TASK)) == 20
    assert sandbox.counts()["token"] == 1

    sandbox.throttle_tokens(0)
    shutil.rmtree(airflow.home / "bigin")  # with the accounts server's message and the end of the wait
    assert all(0 < seconds <= 610 for seconds in run.ask("end_waits"))
    assert run.wait(timeout=120) == "success"
    assert sandbox.counts()["token"] == 2
    assert Counter(mail["to"][0]["email"] for mail in sandbox.mails()) == {
        f"person{number}@example.org": 1 for number in range(20)
    }
