"""
Tries that were frozen, e.g. by a suspended machine, send nothing if another try has taken over.

The frozen try uses the real clock, with a short lease; the one that takes over uses the sandbox's.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.processes.frozen_tries import Order, run_try
from tests.sandbox_control import SandboxControl, sandbox_process

FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["tests.processes.frozen_tries"])

#: Seconds between an intent and its POST, at most, in the try that is frozen; and those of a request.
LEASE, TIMEOUT = 2.0, 3.0
PATIENCE = 60.0
#: How a replaced try ends.
REPLACED = ("BiginStaleAttemptError", "BiginJournalError")


@pytest.fixture(scope="module")
def distant_sandbox() -> Iterator[SandboxControl]:
    """Run a sandbox as a separate process, which can respond while a try is frozen."""
    with sandbox_process() as control:
        yield control


@pytest.fixture
def sandbox(distant_sandbox: SandboxControl) -> SandboxControl:
    distant_sandbox.reset()
    return distant_sandbox


class Try:
    """A try in a separate process."""

    def __init__(self, order: Order) -> None:
        self._answer, answer = FORKSERVER.Pipe(duplex=False)
        self._process = FORKSERVER.Process(target=run_try, args=(order, answer), daemon=True)
        self._process.start()
        answer.close()
        assert self._process.pid
        self._system = psutil.Process(self._process.pid)

    def stop(self) -> None:
        os.kill(self._system.pid, signal.SIGSTOP)
        self.wait_until_stopped()

    def wait_until_stopped(self) -> None:
        wait_until(lambda: self._system.status() == psutil.STATUS_STOPPED)

    def wake(self) -> None:
        os.kill(self._system.pid, signal.SIGCONT)

    def end(self) -> tuple[str, Any]:
        """Wait until it ends and return ``success`` and its result, or the name of its error and the text."""
        assert self._answer.poll(PATIENCE)
        return self._answer.recv()  # type: ignore[no-any-return]

    def kill(self) -> None:
        self._process.kill()
        self._process.join(PATIENCE)


@pytest.fixture
def start() -> Iterator[Callable[[Order], Try]]:
    """Return a function that starts tries, none of which outlives the test."""
    tries: list[Try] = []

    def start_try(order: Order) -> Try:
        tries.append(Try(order))
        return tries[-1]

    yield start_try
    for one in tries:
        one.kill()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(params=["store", "variables"])
def order(request: pytest.FixtureRequest, sandbox: SandboxControl, tmp_path: Path) -> Order:
    """Return the order for the first try of a task with one mail."""
    connection = sandbox.connection()
    connection["extra"]["timeout"] = str(TIMEOUT)
    return Order(
        connection,
        str(tmp_path),
        request.param,
        sandbox.add_contacts(1),
        sandbox.now(),
        constants={"LEASE": LEASE, "WRITE_PATIENCE": 1.0},
    )


def with_sender(order: Order) -> Order:
    """Return a connection that names its sender, so that the POST is the first request with a token."""
    extra = {**order.connection["extra"], "from_email": "ada@example.com"}
    return replace(order, connection={**order.connection, "extra": extra})


def next_try(order: Order) -> Order:
    """Return the order for the try that takes over."""
    return Order(
        order.connection, order.directory, order.kind, order.record_ids, order.start, 2, sandbox_time=True
    )


def take_over(start: Callable[[Order], Try], order: Order, *, stops_before: str | None = None) -> Try:
    """
    Let the next try do everything while the first one is frozen.

    The first one stays frozen for longer than a lease and a request last.
    """
    began = time.monotonic()
    successor = start(replace(next_try(order), stops_before=stops_before))
    if stops_before:
        successor.wait_until_stopped()
    else:
        assert successor.end()[0] == "success"
    time.sleep(max(0.0, began + LEASE + TIMEOUT + 0.5 - time.monotonic()))
    return successor


@pytest.mark.parametrize("point", ["default sender", "intent", "POST"])
def test_a_mail_that_its_successor_has_sent(
    order: Order, sandbox: SandboxControl, start: Callable[[Order], Try], point: str
) -> None:
    frozen = start(replace(order, stops_before=point))
    frozen.wait_until_stopped()
    take_over(start, order)
    frozen.wake()
    assert frozen.end()[0] in REPLACED
    assert sandbox.mail_count() == 1


@pytest.mark.parametrize("point", ["default sender", "intent", "POST"])
def test_a_mail_of_which_its_successor_has_not_told_yet(
    order: Order, sandbox: SandboxControl, start: Callable[[Order], Try], point: str
) -> None:
    frozen = start(replace(order, stops_before=point))
    frozen.wait_until_stopped()
    successor = take_over(start, order, stops_before="end")  # for Airflow, the task runs
    frozen.wake()
    assert frozen.end()[0] in REPLACED
    successor.wake()
    assert successor.end()[0] == "success"
    assert sandbox.mail_count() == 1


@pytest.mark.parametrize("number", [1, 14])
def test_a_mail_of_which_no_byte_has_left(
    order: Order, sandbox: SandboxControl, start: Callable[[Order], Try], number: int
) -> None:
    ids = sandbox.add_contacts(number)
    order = with_sender(replace(order, record_ids=ids))
    frozen = start(replace(order, stops_before="first byte"))
    frozen.wait_until_stopped()
    take_over(start, order)
    frozen.wake()
    assert frozen.end()[0] in REPLACED
    assert sandbox.mail_counts() == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("without", ["lease", "refusal"])
def test_each_protection_is_needed(
    order: Order, sandbox: SandboxControl, start: Callable[[Order], Try], without: Any
) -> None:
    frozen = start(replace(order, stops_before="POST", without=without))
    frozen.wait_until_stopped()
    take_over(start, order, stops_before="end")
    frozen.wake()
    frozen.end()
    assert sandbox.mail_count() == 2


@pytest.mark.parametrize(("sent", "switches_often"), [(5, False), (1, True), (5, True), (8, True)])
def test_many_mails_of_which_some_are_under_way(
    order: Order, sandbox: SandboxControl, start: Callable[[Order], Try], sent: int, switches_often: bool
) -> None:
    ids = sandbox.add_contacts(14)
    order = replace(order, record_ids=ids, switches_often=switches_often)
    sandbox.fault("send_mail", "slow", times=None, seconds=1)
    frozen = start(order)
    wait_until(lambda: sandbox.mail_count() >= sent)
    frozen.stop()
    sandbox.clear_faults()
    take_over(start, order)
    assert sandbox.mail_counts() == dict.fromkeys(ids, 1)
    frozen.wake()
    assert frozen.end()[0] in REPLACED
    assert sandbox.mail_counts() == dict.fromkeys(ids, 1)


def test_many_mails_none_of_which_has_left(
    order: Order, sandbox: SandboxControl, start: Callable[[Order], Try]
) -> None:
    ids = sandbox.add_contacts(14)
    frozen = start(replace(order, record_ids=ids, stops_before="POST", switches_often=True))
    frozen.wait_until_stopped()
    take_over(start, replace(order, record_ids=ids))
    frozen.wake()
    assert frozen.end()[0] in REPLACED
    assert sandbox.mail_counts() == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("number", [1, 14])
def test_a_short_freeze_does_no_harm(
    order: Order, sandbox: SandboxControl, start: Callable[[Order], Try], number: int
) -> None:
    ids = sandbox.add_contacts(number)
    frozen = start(replace(order, record_ids=ids, stops_before="POST", constants={}))
    frozen.wait_until_stopped()
    time.sleep(0.2)
    frozen.wake()
    assert frozen.end()[0] == "success"
    assert sandbox.mail_counts() == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("number", [1, 14])
def test_whoever_was_frozen_and_not_replaced_sends(
    order: Order, sandbox: SandboxControl, start: Callable[[Order], Try], number: int
) -> None:
    ids = sandbox.add_contacts(number)
    frozen = start(replace(order, record_ids=ids, stops_before="POST"))
    frozen.wait_until_stopped()
    time.sleep(LEASE + 0.5)
    frozen.wake()
    assert frozen.end()[0] == "success"
    assert sandbox.mail_counts() == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("order", ["variables"], indirect=True)
@pytest.mark.parametrize(
    ("max_date_age", "mails"), [(2.0, 1), (math.inf, 2)], ids=["not believed", "believed"]
)
def test_a_date_that_lay_in_the_socket(
    order: Order, sandbox: SandboxControl, start: Callable[[Order], Try], max_date_age: float, mails: int
) -> None:
    """Judging by such a date, the mail left long ago, so it is absent if it is not in the list right away."""
    sandbox.settings(emails_lag=9)
    sandbox.fault("send_mail", "lost_answer")
    sandbox.fault("from_addresses", "slow", seconds=0.5)
    constants = {"LEASE": 1.0, "SETTLING": 6.0, "CLOCK_TOLERANCE": 1.0, "MAX_DATE_AGE": max_date_age}
    frozen = start(replace(order, constants=constants))
    wait_until(lambda: sandbox.counts()["from_addresses"] == 1)
    frozen.stop()
    time.sleep(7)
    frozen.wake()
    if frozen.end()[0] != "success":
        assert start(replace(next_try(order), constants=constants)).end()[0] == "success"
    assert sandbox.mail_count() == mails
