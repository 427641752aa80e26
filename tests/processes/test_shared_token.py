"""Processes that start at the same time share one access token, as the tasks of a mapped operator do."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bigin.api.client import new_session
from airflow_provider_bigin.api.oauth import refresh_access_token
from tests.processes.senders import OUTCOME_MARK, Order, Outcome, credentials_of
from tests.sandbox_control import SandboxControl, sandbox_process


@pytest.fixture(scope="module")
def distant_sandbox() -> Iterator[SandboxControl]:
    """Run a sandbox as a separate process, so that this one does not have to serve a hundred."""
    with sandbox_process() as control:
        yield control


@pytest.fixture
def sandbox(distant_sandbox: SandboxControl) -> SandboxControl:
    distant_sandbox.reset()
    return distant_sandbox


class Senders:
    """Processes that carry out an order."""

    def __init__(self, process: subprocess.Popen[str], order: Order) -> None:
        self._process = process
        self._say(json.dumps(asdict(order)))

    def go_on(self) -> None:
        """Release the processes that wait with their token in hand."""
        self._say("")

    def outcomes(self, number: int) -> list[Outcome]:
        """Wait for the outcomes of this many processes."""
        assert self._process.stdout
        lines = (line for line in self._process.stdout if line.startswith(OUTCOME_MARK))
        return [Outcome(**json.loads(line.removeprefix(OUTCOME_MARK))) for line in islice(lines, number)]

    def _say(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()


@contextmanager
def senders(order: Order, database: Path | None = None) -> Iterator[Senders]:
    """Start processes and kill those that are not done at the end, because something has failed."""
    environment = dict(os.environ)
    if database:
        environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{database}?timeout=60"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.processes.senders"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            yield Senders(process, order)
            assert process.wait(timeout=60) == 0
        finally:
            if process.poll() is None:
                os.killpg(process.pid, 9)


def send_all(order: Order, database: Path | None = None) -> list[Outcome]:
    with senders(order, database) as running:
        return running.outcomes(len(order.record_ids))


def errors_of(outcomes: list[Outcome]) -> list[str]:
    return [outcome.error for outcome in outcomes if outcome.error]


def each_got_one_mail(sandbox: SandboxControl, record_ids: list[str]) -> bool:
    return sandbox.mail_counts() == dict.fromkeys(record_ids, 1)


def spend_tokens(sandbox: SandboxControl, number: int) -> None:
    with new_session() as session:
        for _ in range(number):
            refresh_access_token(session, credentials_of(sandbox.connection()), now=0, timeout=30)


def test_a_hundred_processes_ask_for_one_token(sandbox: SandboxControl, tmp_path: Path) -> None:
    ids = sandbox.add_contacts(100)
    outcomes = send_all(Order(sandbox.connection(), str(tmp_path / "bigin"), ids))
    assert errors_of(outcomes) == []
    assert each_got_one_mail(sandbox, ids)
    assert sandbox.counts()["token"] == 1


def test_a_token_that_ends_half_way_costs_one_more(sandbox: SandboxControl, tmp_path: Path) -> None:
    ids = sandbox.add_contacts(100)
    with senders(Order(sandbox.connection(), str(tmp_path / "bigin"), ids, early=50)) as running:
        outcomes = running.outcomes(50)
        sandbox.expire_tokens()
        running.go_on()
        outcomes += running.outcomes(50)
    assert errors_of(outcomes) == []
    assert each_got_one_mail(sandbox, ids)
    assert sandbox.counts()["token"] == 2


def test_a_throttle_at_a_cold_start_is_waited_out_by_all(sandbox: SandboxControl, tmp_path: Path) -> None:
    ids = sandbox.add_contacts(20)
    sandbox.throttle_tokens(20)
    outcomes = send_all(Order(sandbox.connection(), str(tmp_path / "bigin"), ids, sandbox_time=True))
    assert errors_of(outcomes) == []
    assert each_got_one_mail(sandbox, ids)
    assert sandbox.counts()["token"] == 2


def test_wrong_credentials_are_refused_once_for_all(sandbox: SandboxControl, tmp_path: Path) -> None:
    sandbox.revoke_refresh_token()
    ids = sandbox.add_contacts(20)
    outcomes = send_all(Order(sandbox.connection(), str(tmp_path / "bigin"), ids))
    assert len(errors_of(outcomes)) == 20
    assert all("authorize again" in error for error in errors_of(outcomes))
    assert sandbox.counts()["token"] == 1


def test_a_full_disk_costs_each_process_a_warning_and_a_token(
    sandbox: SandboxControl, tmp_path: Path
) -> None:
    ids = sandbox.add_contacts(3)
    outcomes = send_all(Order(sandbox.connection(), str(tmp_path / "bigin"), ids, disk_full=True))
    assert errors_of(outcomes) == []
    assert each_got_one_mail(sandbox, ids)
    assert sandbox.counts()["token"] == 3
    assert [len(outcome.warnings) for outcome in outcomes] == [1, 1, 1]
    assert all("File too large" in outcome.warnings[0] for outcome in outcomes)


@pytest.fixture
def machines(sandbox: SandboxControl) -> dict[str, Any]:
    """Twenty-four machines that share Airflow's database."""
    return {
        "connection": sandbox.connection(),
        "directory": "",
        "record_ids": sandbox.add_contacts(24),
        "cache": "variable",
        "sandbox_time": True,
    }


def test_many_machines_ask_for_one_token(
    sandbox: SandboxControl, machines: dict[str, Any], tmp_path: Path
) -> None:
    database = tmp_path / "airflow.db"
    outcomes = send_all(Order(**machines), database)
    assert errors_of(outcomes) == []
    assert each_got_one_mail(sandbox, machines["record_ids"])
    assert sandbox.counts()["token"] == 1
    with sqlite3.connect(database) as connection:
        kept = "\n".join(connection.iterdump())
    assert "access_token" in kept
    assert "1000." not in kept, "Zoho's tokens begin so"
    assert "_claim_" not in kept


@pytest.mark.parametrize(("spent", "requests"), [(9, 1), (10, 3)])
def test_many_machines_get_past_zohos_limit(
    sandbox: SandboxControl, machines: dict[str, Any], tmp_path: Path, spent: int, requests: int
) -> None:
    spend_tokens(sandbox, spent)
    outcomes = send_all(Order(**machines), tmp_path / "airflow.db")
    assert errors_of(outcomes) == []
    assert each_got_one_mail(sandbox, machines["record_ids"])
    assert sandbox.counts()["token"] == spent + requests
