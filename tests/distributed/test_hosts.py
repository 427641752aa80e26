"""Mails go out once, whatever happens to the hosts of the workers."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from tests.distributed.campaign import Campaign
from tests.distributed.celery_server import CeleryServer
from tests.distributed.namespaces import Host
from tests.distributed.outcome import Outcome
from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import HEARTBEAT_TIMEOUT, Run, wait_for

TASK = "send"
KILLS = 20
FREEZES = 4
#: What happens to the answers of Bigin while hosts fail: some get lost, whether or not the mail is sent.
LOSSES = ("lost_answer", "500_after", "dropped")


def test_sixty_tasks_on_two_hosts_share_one_access_token(
    airflow: CeleryServer, sandbox: SandboxControl, record_id: str
) -> None:
    run = airflow.trigger("many_mails", record_id=record_id)
    assert run.wait(timeout=400) == "success"
    tasks = run.tasks(TASK)
    assert {task["hostname"] for task in tasks} == {host.name for host in airflow.hosts}
    assert sandbox.mail_count(record_id) == len(tasks) == 60
    assert sandbox.counts()["token"] == 1


@pytest.mark.parametrize("seed", [1])
def test_hosts_killed_at_random_moments(
    airflow: CeleryServer, sandbox: SandboxControl, count: Callable[[Outcome], None], seed: int
) -> None:
    random = Random(seed)
    sandbox.settings(latency=0.3)
    campaigns = [Campaign.start(airflow, sandbox, mails=30)]
    for number in range(KILLS):
        if campaigns[-1].is_over():
            campaigns.append(Campaign.start(airflow, sandbox, mails=30))
        sandbox.fault("send_mail", random.choice(LOSSES), skip=random.randrange(5))
        time.sleep(random.uniform(0, 15))
        host = airflow.hosts[number % 2]
        host.kill()
        host.start()
    for campaign in campaigns:
        count(campaign.outcome(timeout=700))
    tasks = sum(len(campaign.single) + len(campaign.bulk) for campaign in campaigns)
    assert sum(campaign.tries() for campaign in campaigns) > tasks


@pytest.mark.parametrize("seed", [1])
def test_hosts_frozen_at_random_moments(
    airflow: CeleryServer, sandbox: SandboxControl, count: Callable[[Outcome], None], seed: int
) -> None:
    random = Random(seed)
    sandbox.settings(latency=0.3)
    campaign = Campaign.start(airflow, sandbox, mails=30)
    for number in range(FREEZES):
        time.sleep(random.uniform(5, 10))
        host = airflow.hosts[number % 2]
        host.freeze()
        time.sleep(random.uniform(HEARTBEAT_TIMEOUT, 2 * HEARTBEAT_TIMEOUT))
        host.thaw()
    count(campaign.outcome(timeout=700))


@pytest.mark.parametrize("call", ["from_addresses", "send_mail"], ids=["before it sends", "as it sends"])
def test_frozen_host_wakes_after_the_retry(
    airflow: CeleryServer,
    sandbox: SandboxControl,
    record_id: str,
    count: Callable[[Outcome], None],
    call: str,
) -> None:
    sandbox.fault(call, "slow", seconds=4)
    run = airflow.trigger("send_mail", record_id=record_id)
    host = host_that_asks(airflow, sandbox, run)
    host.freeze()
    run.wait(timeout=240)
    message_id = run.xcom(TASK)
    host.thaw()
    wait_for("the woken try ends", lambda: not host.task_processes(), timeout=60)
    count(Outcome.of({record_id: run.task(TASK)["state"]}, sandbox.mail_counts()))
    assert sandbox.mails(record_id)[0]["message_id"] == message_id == run.xcom(TASK)


def host_that_asks(airflow: CeleryServer, sandbox: SandboxControl, run: Run) -> Host:
    """Wait until a task has asked Bigin for what is answered late, and return its host."""
    wait_for("the task asks Bigin", lambda: not sandbox.faults(), timeout=90)
    return host_of(airflow, run.task(TASK))


def host_of(airflow: CeleryServer, task: dict[str, Any]) -> Host:
    """Return the host on which a task runs."""
    return next(host for host in airflow.hosts if host.name == task["hostname"])


def test_supervisor_killed_alone(
    airflow: CeleryServer, sandbox: SandboxControl, record_id: str, count: Callable[[Outcome], None]
) -> None:
    sandbox.fault("from_addresses", "slow", seconds=4)
    run = airflow.trigger("send_mail", record_id=record_id)
    host = host_that_asks(airflow, sandbox, run)
    (orphan,) = host.task_processes()
    orphan.parent().kill()
    run.wait(timeout=240)
    wait_for("the orphan ends", lambda: not host.task_processes(), timeout=60)
    count(Outcome.of({record_id: run.task(TASK)["state"]}, sandbox.mail_counts()))
    assert sandbox.mails(record_id)[0]["message_id"] == run.xcom(TASK)


def test_a_task_that_dies_with_its_host_is_told_once(
    airflow: CeleryServer, sandbox: SandboxControl, record_id: str
) -> None:
    """Airflow 3 calls its callback twice."""
    run = airflow.trigger("losing_its_task", record_id=record_id)
    host = host_of(airflow, run.wait_for_task("wait", "running"))
    host.kill()
    host.start()
    assert run.wait(timeout=240) == "failed"

    def subjects() -> list[str]:
        return sorted(mail["subject"] for mail in sandbox.mails())

    of_dag = "[Airflow] losing_its_task: failed"
    wait_for("the DAG tells it", lambda: of_dag in subjects(), timeout=120)
    assert subjects() == ["[Airflow] losing_its_task.wait: failed", of_dag]
