"""Mails go out once, whatever happens to Redis, PostgreSQL and Airflow's own components."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.distributed.campaign import Campaign
from tests.distributed.celery_server import CeleryServer
from tests.distributed.outcome import Outcome
from tests.sandbox_control import SandboxControl
from tests.system import questions
from tests.system.airflow_server import AIRFLOW_VERSION, IS_AIRFLOW_3, wait_for

TASK = "send"
QUEUE = "default"


def restart_redis(airflow: CeleryServer) -> None:
    """Crash it and start it again."""
    airflow.kill_service("redis-server")
    time.sleep(2)
    airflow.start_redis()


def restart_postgres(airflow: CeleryServer) -> None:
    """Crash it and start it again, with the components that ended because of it."""
    airflow.kill_service("postgres")
    time.sleep(2)
    airflow.start_postgres()
    airflow.recover()


def restart_api_server(airflow: CeleryServer) -> None:
    """Kill it and start it again, long after the tries that need it have failed."""
    airflow.kill_component("api-server")
    time.sleep(20)
    airflow.start_component("api-server")
    airflow.recover()


RESTARTS = [restart_redis, restart_postgres, *([restart_api_server] if IS_AIRFLOW_3 else [])]


def test_services_restarted_in_the_middle(
    airflow: CeleryServer, sandbox: SandboxControl, count: Callable[[Outcome], None]
) -> None:
    sandbox.settings(latency=0.3)
    campaign = Campaign.start(airflow, sandbox, mails=30)
    for restart in RESTARTS:
        arrived = sandbox.mail_count()
        wait_for("mails arrive", lambda: sandbox.mail_count() > arrived, timeout=120)  # noqa: B023
        restart(airflow)
    count(campaign.outcome(timeout=700))


def test_messages_of_celery_delivered_twice(
    airflow: CeleryServer, sandbox: SandboxControl, count: Callable[[Outcome], None]
) -> None:
    for host in airflow.hosts:
        host.kill()
    try:
        record_ids = sandbox.add_contacts(10)
        runs = {record_id: airflow.trigger("send_mail", record_id=record_id) for record_id in record_ids}
        # If this takes long, Airflow itself may deliver some twice.
        wait_for("all tasks are queued", lambda: airflow.broker.llen(QUEUE) >= len(runs), timeout=60)
        airflow.broker.rpush(QUEUE, *airflow.broker.lrange(QUEUE, 0, -1))
    finally:
        for host in airflow.hosts:
            host.start()
    count(Outcome.of({record_id: run.wait(240) for record_id, run in runs.items()}, sandbox.mail_counts()))


def restart_waiting_components(airflow: CeleryServer) -> None:
    """Kill what waiting tasks rely on and start it again."""
    for name in ("triggerer", "scheduler"):
        airflow.kill_component(name)
        airflow.start_component(name)
    airflow.recover()


def test_a_deferred_sensor_outlives_triggerer_and_scheduler(
    airflow: CeleryServer, sandbox: SandboxControl, record_id: str, count: Callable[[Outcome], None]
) -> None:
    run = airflow.trigger("wait_for_mail", record_id=record_id)
    run.wait_for_task("wait", "deferred", timeout=120)
    restart_waiting_components(airflow)
    sandbox.set_status(run.xcom(TASK), "opened")
    count(Outcome.of({record_id: run.wait(240)}, sandbox.mail_counts()))
    assert run.xcom("wait") == "opened"


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="only sensors can be put off")
def test_a_task_that_waits_for_a_limit_outlives_triggerer_and_scheduler(
    airflow: CeleryServer, sandbox: SandboxControl, count: Callable[[Outcome], None]
) -> None:
    sandbox.settings(daily_mail_limit=3)
    record_ids = sandbox.add_contacts(7)
    run = airflow.trigger("few_mails_a_day", record_ids=record_ids)
    run.wait_until_put_off(TASK)
    restart_waiting_components(airflow)
    sandbox.settings(daily_mail_limit=None)
    run.ask("end_waits")
    count(Outcome.of(dict.fromkeys(record_ids, run.wait(240)), sandbox.mail_counts()))


@pytest.mark.skipif(AIRFLOW_VERSION < (3, 1), reason="asks nobody")
def test_a_task_that_asks_outlives_triggerer_and_scheduler(
    airflow: CeleryServer, sandbox: SandboxControl, record_id: str
) -> None:
    run = questions.ask(airflow, sandbox, record_id)
    questions.wait_for_question(run)
    before = sandbox.mail_count(record_id)
    restart_waiting_components(airflow)
    with questions.rest_session(airflow) as session:
        questions.answer(session, run, "Send it")
    assert run.wait(240) == "success"
    assert sandbox.mail_count(record_id) == before + 1
