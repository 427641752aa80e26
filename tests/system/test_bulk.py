"""Many mails go out once, whatever happens to the worker."""

from __future__ import annotations

import pytest

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AirflowServer, wait_for

TASK = "send"
MAILS = 150


@pytest.mark.parametrize("with_supervisor", [False, True], ids=["task alone", "task and supervisor"])
def test_worker_killed_in_the_middle(
    airflow: AirflowServer, sandbox: SandboxControl, with_supervisor: bool
) -> None:
    sandbox.settings(latency=0.1)
    record_ids = sandbox.add_contacts(MAILS)
    run = airflow.trigger("bulk_mails", record_ids=record_ids)
    wait_for("some mails arrive", lambda: sandbox.mail_count() >= MAILS / 2, timeout=60)
    task = run.process(TASK)
    for process in [task.parent(), task] if with_supervisor else [task]:
        process.kill()
    arrived = sandbox.mail_count()
    assert arrived < MAILS
    sandbox.advance(300)  # a mail that is not in the list by then will not arrive

    assert run.wait() == "success"
    assert run.task(TASK)["try_number"] == 2
    mails = {mail["record_id"]: mail["message_id"] for mail in sandbox.mails()}
    assert sandbox.mail_count() == len(mails) == MAILS
    result = run.xcom(TASK)
    assert result["already_sent"] >= arrived
    assert {row["record_id"]: row["message_id"] for row in result["rows"]} == mails

    run.clear(TASK)
    assert run.wait() == "success"
    assert set(sandbox.mail_counts().values()) == {2}
