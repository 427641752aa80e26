"""Tasks wait in the triggerer until a mail is opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import IS_AIRFLOW_3, AirflowServer, Run, wait_for

TEMPORAL_TRIGGERS = (
    "airflow.providers.standard.triggers.temporal" if IS_AIRFLOW_3 else "airflow.triggers.temporal"
)


@pytest.mark.parametrize("kill", [False, True], ids=["triggerer lives", "triggerer killed"])
def test_sensor_wakes_when_the_mail_is_opened(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str, kill: bool
) -> None:
    run = airflow.trigger("wait_for_mail", record_id=record_id)
    run.wait_for_task("wait", "deferred")
    wait_for("the trigger looks", lambda: sandbox.counts()["emails"], timeout=30)
    if kill:
        airflow.kill_component("triggerer")
        airflow.start_component("triggerer")
    sandbox.set_status(run.xcom("send"), "opened")

    assert run.wait() == "success"
    assert run.xcom("wait") == "opened"
    assert sandbox.mail_count() == 1


@pytest.mark.timeout(600)
def test_hundreds_of_triggers_hold_up_the_triggerer_no_more_than_airflows_own(
    airflow: AirflowServer, sandbox: SandboxControl, record_id: str
) -> None:
    """
    The triggerer warns if its event loop was blocked, and says for how long.

    A busy machine causes such warnings, too, for either kind of trigger: hence the rounds.
    """
    sandbox.settings(latency=0.05)
    assert any(
        _held_up_during(_wait_for_mail, airflow, sandbox, record_id) <= by_airflows_own
        for by_airflows_own in (_held_up_during(_wait_for_time, airflow) for _ in range(3))
    )


def _wait_for_time(airflow: AirflowServer) -> None:
    run = airflow.trigger("waiting_room")
    moment = datetime.now(timezone.utc) + timedelta(seconds=20)
    run.ask("defer", trigger=f"{TEMPORAL_TRIGGERS}.DateTimeTrigger", arguments={"moment": moment.isoformat()})
    _wait_until_woken(run)


def _wait_for_mail(airflow: AirflowServer, sandbox: SandboxControl, record_id: str) -> None:
    message_id = _send(airflow, record_id)
    earlier_looks = sandbox.counts()["emails"]
    run = airflow.trigger("waiting_room")
    run.ask(
        "defer",
        trigger="airflow_provider_bigin.triggers.bigin.BiginMailStatusTrigger",
        arguments={
            "message_id": message_id,
            "record_id": record_id,
            "module": "Contacts",
            "status": ["opened"],
            "bigin_conn_id": "bigin_default",
            "poke_interval": 10,
        },
    )
    wait_for("each looks twice", lambda: sandbox.counts()["emails"] - earlier_looks >= 2 * 200, timeout=60)
    sandbox.set_status(message_id, "opened")
    _wait_until_woken(run)


def _send(airflow: AirflowServer, record_id: str) -> str:
    run = airflow.trigger("send_mail", record_id=record_id)
    assert run.wait() == "success"
    message_id: str = run.xcom("send")
    return message_id


def _wait_until_woken(run: Run) -> None:
    """Wait until the tasks are scheduled after their triggers fired; those of a paused DAG stay that way."""
    wait_for(
        f"all triggers of {run} fire",
        lambda: {instance["state"] for instance in run.tasks("wait")} == {"scheduled"},
        timeout=90,
    )


def _held_up_during(wait: Callable[..., None], airflow: AirflowServer, *arguments: Any) -> float:
    earlier = _held_up(airflow)
    wait(airflow, *arguments)
    return _held_up(airflow) - earlier


def _held_up(airflow: AirflowServer) -> float:
    """Add up the seconds in the triggerer's warnings."""
    log = (airflow.home / "triggerer.log").read_text()
    return sum(map(float, re.findall(r"async thread was blocked for ([\d.]+) seconds", log)))
