"""All workers share one access token."""

from __future__ import annotations

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AirflowServer


def test_sixty_tasks_share_the_token_in_a_variable(airflow: AirflowServer, sandbox: SandboxControl) -> None:
    (record_id,) = sandbox.add_contacts(1)
    run = airflow.trigger("many_mails", record_id=record_id)

    assert run.wait(timeout=180) == "success"
    assert len(run.tasks("send")) == sandbox.mail_count(record_id) == 60
    assert sandbox.counts()["token"] == 1
    ((key, value),) = airflow.ask("variables").items()
    assert "access_token" in key
    assert "1000." not in value, "Zoho's tokens begin so"
