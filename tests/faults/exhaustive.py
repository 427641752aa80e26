"""
Enumerate all schedules of faults instead of random ones.

Faults occur at each point at which a try can die, fail, or lose a response, with up to two faults across all
tries of a task and a clear between any two of them.

A try of the real operator runs against the real sandbox, in one thread and in virtual time, once for each
way it can go; then each of the states that it can leave is continued in all ways, and so on to the end. Two
states are the same if no later try can tell them apart: the same Airflow counters, the same stored values,
the same mails, the same truth for the judge. Times matter only insofar as a window is over or not. So there
are more schedules, that is, paths from the start to an end, than tries that have to be run.

A worker dies before it does anything or right after something durable: a write, a deletion, a POST. In
between, nothing changes that it could leave behind.

Run it with ``python -m tests.faults.exhaustive --help``.
"""

from __future__ import annotations

import argparse
import heapq
import json
import logging
import os
import random
import secrets
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, NamedTuple
from unittest.mock import patch

import requests

from airflow_provider_bigin.operators.question import OPTIONS
from airflow_provider_bigin.sandbox.traffic import call_of
from tests.faults.mutants import MUTANTS
from tests.faults.virtual import EPOCH, InTurn, LocalSandbox, MemoryStore, MemoryVariables, VirtualClock
from tests.task_instance import TaskInstance

RETRIES = 1
#: Seconds until a mail is in its record's list: the same try's first lookup misses it.
LAG = 15.0

#: What must not happen.
TWICE, LOST, GREEN, DOUBT, TOLD = "mailed twice", "lost", "falsely green", "sent in doubt", "told wrong"
VIOLATIONS = (TWICE, LOST, GREEN, DOUBT, TOLD)

#: What nobody can guarantee, by the protocol's names, and the only rule that each excuses.
EXCUSES = {
    "H3, cleared before Airflow heard of the success": TWICE,
    "H5, the last write failed for good": GREEN,
    "H9, contents cannot be read and an equal mail is forgotten": GREEN,
    "H10, nothing tells what earlier tries sent": LOST,
    "resend, in doubt": TWICE,
    "a person said to send it": TWICE,
    "a person said that it was sent": GREEN,
}
H3, H5, H9, H10, RESEND, SAID_SEND, SAID_SENT = EXCUSES


@dataclass(frozen=True)
class Case:
    """
    What is enumerated.

    :param store: ``state store``, ``variables``, or ``none``.
    :param mails: the operator's number of mails; several go in blocks of one, in segments of two results.
    :param has_file: whether a file is attached whose id Bigin may refuse.
    """

    store: str = "state store"
    mails: int = 1
    on_unknown_outcome: str = "check"
    faults: int = 2
    clears: int = 1
    has_file: bool = False

    @property
    def gap(self) -> float:
        """Return the seconds between two tries: so few that it has to look repeatedly, or the default."""
        return 5.0 if self.mails == 1 else 300.0

    def __str__(self) -> str:
        number = "one mail" if self.mails == 1 else f"{self.mails} mails"
        return f"{number}, {self.store}, {self.on_unknown_outcome}{', a file' if self.has_file else ''}"


CASES = (
    *(
        Case(store, mails, policy)
        for mails, policies in ((1, ("check", "fail", "resend", "ask")), (3, ("check",)))
        for policy in policies
        for store in ("state store", "variables", "none")
        if (policy, store) != ("ask", "none")  # which is "check"
    ),
    Case(has_file=True),
)


class World(NamedTuple):
    """Everything that exists between two tries; the last lines are the truth, which only the judge knows."""

    number: int  # of the last try
    max_tries: int
    clear_number: int
    start: float
    state: str  # of the task: waiting for its next try, asking a person, success, failed
    now: float
    kept: tuple[tuple[str, str], ...]
    mails: tuple[tuple[Any, ...], ...]
    faults: int  # still to come, at most
    clears: int
    go: int = 1
    go_of_mail: tuple[int, ...] = ()
    is_unheard: bool = False  # all is written down as done, and Airflow has not heard of it
    is_refused: bool = False  # Bigin has refused a mail since the last clear
    is_unwritten: bool = False  # a write of the last try was not confirmed
    reschedules: int = 0  # of the last try, which runs again under the same number
    question: tuple[str, ...] = ()  # what a person was asked about last
    answer: str | None = None  # what was answered, to be told to the try
    may_send: bool = False  # a person has said to send a mail that is in doubt, and it was not sent since
    is_left: bool = False  # a person has said to leave it failed, and has not cleared the task since
    excuses: frozenset[str] = frozenset()

    @property
    def head(self) -> dict[str, Any] | None:
        return next((json.loads(text) for name, text in self.kept if "segment" not in name), None)

    @property
    def first_number(self) -> int:
        """Return the number of the first try since the last clear."""
        return self.max_tries - RETRIES + 1

    def identity(self) -> Any:
        """Return what distinguishes this state from others."""
        kept = []
        for name, text in self.kept:
            value = json.loads(text)
            value.pop("owner", None)
            if "run_start" in value:
                value["waiting_since"] = value["waiting_since"] is not None
                value["run_start"] = value["run_start"] == self.start
                for intent in value["open"]:
                    intent[-1] = intent[-1][1] > self.now
            kept.append((name, json.dumps(value)))
        mails = tuple((row[1], row[2], row[6], row[4] + LAG <= self.now) for row in self.mails)
        question = ("a doubt",) * len(self.question)
        return self._replace(kept=tuple(kept), mails=mails, now=0.0, start=0.0, question=question)


class Died(BaseException):
    """The worker is gone, and nothing that follows is done."""


class Asks(BaseException):
    """The task waits for a person."""

    method_name = "execute_with_answer"

    def __init__(self, doubts: Iterable[str]) -> None:
        self.kwargs = {"doubts": tuple(doubts)}


class InjectedError(Exception):
    """Airflow does not answer."""


class Chooser:
    """A path through the choices of a try: a given prefix, then the normal choice from there on."""

    def __init__(self, prefix: list[int], faults: int) -> None:
        self.faults = faults
        self.said: list[str] = []
        self.trace: list[tuple[int, int]] = []
        self._prefix = prefix

    def pick(self, *faults: str) -> str:
        """Return one of the faults, or none."""
        if not self.faults:
            return ""
        at = len(self.trace)
        choice = self._prefix[at] if at < len(self._prefix) else 0
        self.trace.append((choice, len(faults) + 1))
        if not choice:
            return ""
        self.faults -= 1
        self.said.append(faults[choice - 1])
        return faults[choice - 1]


def every_way(faults: int) -> Iterator[Chooser]:
    """Yield a chooser for each way that a try can go; each has to be used before the next one."""
    prefix: list[int] = []
    while True:
        chooser = Chooser(prefix, faults)
        yield chooser
        trace = chooser.trace
        while trace and trace[-1][0] + 1 == trace[-1][1]:
            trace.pop()
        if not trace:
            return
        prefix = [choice for choice, _ in trace[:-1]] + [trace[-1][0] + 1]


class Try:
    """A running try, which offers the faults of each point that it reaches and sees what really happens."""

    def __init__(self, world: World, case: Case, chooser: Chooser, sandbox: LocalSandbox) -> None:
        self.world, self.case, self.chooser, self.sandbox = world, case, chooser, sandbox
        self.number = world.number if world.reschedules else world.number + 1
        self.may_send = world.may_send
        self.is_dead = self.is_given_up = self.is_done_stored = self.is_refused = self.is_unwritten = False
        self.doubts: tuple[str, ...] = ()
        self.outage = ""
        self.unseen: dict[str, str] = {}  # records whose list could not be read, and why
        self.failing: dict[tuple[str, str, str], str] = {}
        self.file_refusals = 0
        self.broken: list[str] = []
        self.excuses = set(world.excuses)
        self._tokens: Counter[int] = Counter()

    def token(self, length: int) -> str:
        """Return what is random elsewhere: unique within a history, and the same in equivalent ones."""
        self._tokens[length] += 1
        unique = 64 * self.world.reschedules + self._tokens[length]
        return f"{self.number:02x}{unique:02x}".ljust(2 * length, "0")

    def point(self, *faults: str) -> str:
        """Reach a point and return the fault that occurs there."""
        if self.is_dead:
            raise Died
        return self.chooser.pick(*faults)

    def die(self) -> None:
        self.is_dead = True
        raise Died

    # ---- Airflow ----

    def reached(self, operation: str, key: str, value: Any, do: Callable[[], Any]) -> Any:
        """Reach a read, a write, or a deletion of the store."""
        name = f"{operation} of {'segment' if 'segment' in key else 'head'}"
        if value and value.get("complete"):
            name = "last write"
        if operation == "read":
            if self.point(f"{name} fails"):
                raise InjectedError
            return do()
        what = (operation, key, json.dumps(value))
        if what in self.failing:  # each repeat has the same result
            fault = self.failing[what]
        else:
            fault = self.point(f"{name} fails", f"{name} made, answer lost", f"dies after {name}")
        self.is_unwritten |= fault.endswith(("fails", "lost"))
        if not fault.endswith("fails"):
            do()
            if "segment" not in key:
                self.is_done_stored = not self.is_given_up and (value is None or value["complete"])
        if fault.startswith("dies"):
            self.die()
        if fault:
            self.failing[what] = fault
            raise InjectedError
        return None

    def state(self) -> str:
        """Return whether this try is still wanted."""
        if self.is_given_up:
            return "failed"
        fault = self.point("Airflow has given up on the try", "Airflow does not answer")
        if fault.endswith("answer"):
            raise InjectedError
        self.is_given_up = bool(fault)
        return "failed" if fault else "running"

    # ---- Bigin ----

    def send(self, adapter: Any, request: requests.PreparedRequest, *args: Any, **how: Any) -> Any:
        """Reach a request."""
        call = call_of(request.path_url.partition("?")[0])
        if call and call.name == "send_mail":
            return self.post(request, str(call.record_id))
        if call and call.name == "emails":
            return self.read_list(request, str(call.record_id))
        if self.point(f"{request.method} is not answered"):
            raise requests.ConnectionError
        return self.sandbox.exchange(request)

    def post(self, request: requests.PreparedRequest, record_id: str) -> Any:
        number = next(at for at, known in enumerate(RECORD_IDS) if known == record_id)
        what = f"POST {number}"
        # By what the sandbox does with it.
        faults = {
            f"dies after {what}, before its answer": None,
            f"{what} taken, answer lost": "lost_answer",
            f"{what} not taken, answer lost": "dropped",
            f"{what} not now": "daily_limit",
            f"{what} refused": "item_error",
            f"Airflow gives up on the try during {what}": None,
        }
        if self.case.has_file:
            faults[f"file of {what} unknown"] = "unknown_file"
        fault = self.point(*faults)
        unseen = self.unseen.get(record_id)
        may_in_doubt = self.case.on_unknown_outcome == "resend" and unseen != "unreadable"
        if unseen and may_in_doubt:
            self.excuses.add(RESEND)
        elif unseen == "in doubt" and self.may_send:
            self.excuses.add(SAID_SEND)
        elif unseen:
            self.broken.append(f"{DOUBT}: mail {number}, whose list is {unseen}")
        self.may_send &= fault.endswith("not now")
        self.file_refusals += fault.startswith("file of")
        self.is_refused |= fault.endswith("refused") or self.file_refusals > 1
        self.is_given_up |= "gives up" in fault
        answer = self.sandbox.exchange(request, faults.get(fault))
        if fault.startswith("dies"):
            self.die()
        return answer

    def read_list(self, request: requests.PreparedRequest, record_id: str) -> Any:
        if self.is_dead or not self.outage:
            # Until the end of the try: a list that can be read again would be as if it had not failed.
            fault = self.point("lists are unreadable from here on", "lists are in doubt from here on")
            self.outage = fault.removeprefix("lists are ").removesuffix(" from here on")
        if self.outage:
            self.unseen[record_id] = self.outage
        if self.outage == "in doubt" and self.case.store == "variables" and "/Emails/" in request.path_url:
            self.excuses.add(H9)
        effect = {"unreadable": "500_before", "in doubt": "scope_mismatch"}
        return self.sandbox.exchange(request, effect.get(self.outage))


class Instance(TaskInstance):
    """A task instance whose state may change while its try runs."""

    running: Try

    @property
    def state(self) -> str:  # type: ignore[override]
        return self.running.state()

    @state.setter
    def state(self, value: str) -> None:
        pass


RECORD_IDS: list[str] = []


class Harness:
    """
    A context that runs tries of one case; within it, the package talks only to a sandbox in this process.

    :param mutant: the name of a rule to break, to check that the violation is found.
    """

    def __init__(self, case: Case, mutant: str | None = None) -> None:
        self.case = case
        self.tries = 0
        self._mutant = mutant
        self._stack = ExitStack()

    def __enter__(self) -> Harness:
        from airflow_provider_bigin.api.deadline import DeadlineAdapter
        from airflow_provider_bigin.delivery import engine, journal, store
        from airflow_provider_bigin.hooks.bigin import BiginHook
        from airflow_provider_bigin.operators import base

        self.clock = VirtualClock()
        self.sandbox = LocalSandbox(self.clock)
        self.sandbox.sandbox.change_settings({"emails_lag": LAG})
        environment = {
            "AIRFLOW_CONN_BIGIN_DEFAULT": self.sandbox.connection(),
            "AIRFLOW__BIGIN__STATE": "none" if self.case.store == "none" else "auto",
        }
        enter = self._stack.enter_context
        enter(patch.dict(os.environ, environment))
        enter(patch.object(BiginHook, "clock", self.clock))
        enter(patch.object(DeadlineAdapter, "send", lambda *args, **how: self.running.send(*args, **how)))
        enter(patch.object(secrets, "token_hex", lambda length: self.running.token(length)))
        enter(patch.object(engine, "ThreadPoolExecutor", InTurn))
        enter(patch.object(engine, "wait", InTurn.wait))
        enter(patch.object(engine, "BLOCK_SIZE", 1))
        enter(patch.object(journal, "MAX_RESULTS", 1))
        enter(patch.object(base, "can_ask_people", lambda: True))
        enter(patch.object(base, "put_question", lambda *question, **parts: None))
        enter(patch.object(base, "wait_for_answer", _ask))
        for name in ("get", "set", "delete"):  # to be put back
            name = f"{name}_database_variable"
            enter(patch.object(store, name, getattr(store, name)))
        if self._mutant:
            for target, attribute, replacement in MUTANTS[self._mutant]():
                enter(patch.object(target, attribute, replacement))
        kind = MemoryVariables if self.case.store == "variables" else MemoryStore
        self.store = kind(lambda *what: self.running.reached(*what))
        if isinstance(self.store, MemoryVariables):
            self.store.replace_airflows()
        logging.disable(logging.CRITICAL)
        self._stack.callback(logging.disable, logging.NOTSET)
        enter(patch.object(base.BiginMailOperator, "log", logging.getLogger()))  # Airflow 3's would continue
        RECORD_IDS[:] = self.sandbox.add_contacts(self.case.mails)
        self.instance = Instance(
            make_task(self.case), store=None if self.case.store == "none" else self.store, start=EPOCH
        )
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.close()

    def beginning(self) -> World:
        """Return the world before the first try."""
        return World(
            0, RETRIES, 0, EPOCH, "waiting", EPOCH, (), (), faults=self.case.faults, clears=self.case.clears
        )

    def attempt(self, world: World, chooser: Chooser) -> tuple[World, list[str]]:
        """Run a try and return the world after it and any violations."""
        from airflow_provider_bigin.api.errors import BiginError
        from airflow_provider_bigin.version_compat import AirflowFailException, AirflowRescheduleException

        self.tries += 1
        this = self._resume(world, chooser)
        result, ending = None, "retry"
        try:
            if this.point("dies before it has begun"):
                this.die()
            result = self._run(world)
            ending = "retry" if this.is_given_up else "success"
        except Asks as question:
            ending = "retry" if this.is_given_up else "asked"
            this.doubts = question.kwargs["doubts"]
        except Died:
            ending = "died"
        except AirflowFailException:
            ending = "failed"
        except AirflowRescheduleException:
            ending = "retry" if this.is_given_up else "rescheduled"
        except (BiginError, InjectedError):
            pass
        except Exception:
            this.broken.append(f"crashed: {traceback.format_exc()}")
        after = self._world_after(this, ending)
        self._judge(this, after, ending, result)
        return after, this.broken

    def _run(self, world: World) -> Any:
        if world.answer is None:
            return self.instance.run()
        options = [OPTIONS[word][0] for word in OPTIONS if word == world.answer]
        return self.instance.resume(Asks(world.question), {"chosen_options": options})

    def _resume(self, world: World, chooser: Chooser) -> Try:
        self.clock.seconds = world.now
        self.sandbox.put_back(world.mails)
        self.store.kept = dict(world.kept)
        instance = self.instance
        instance.reschedules = world.reschedules
        instance.max_tries, instance.clear_number = world.max_tries, world.clear_number
        instance.start = world.start
        vars(instance.task).pop("hook", None)  # each try has its own
        random.seed(0)
        this = self.running = instance.running = Try(world, self.case, chooser, self.sandbox)
        instance.try_number = this.number
        is_first = this.number in (1, world.first_number) and not world.reschedules
        forgotten = {
            "state store": False,
            "variables": world.head is None and not is_first,
            "none": any(int(row[1][:2], 16) < world.first_number for row in world.mails),
        }
        if forgotten[self.case.store]:
            this.excuses.add(H10)
            if self.case.on_unknown_outcome == "resend":
                this.excuses.add(RESEND)
        if world.may_send and H10 in this.excuses:
            this.excuses.add(SAID_SEND)
        return this

    def _world_after(self, this: Try, ending: str) -> World:
        world = this.world
        mails = self.sandbox.mails()
        after = world._replace(
            number=this.number,
            now=self.clock.now() + self.case.gap,
            kept=tuple(sorted(self.store.kept.items())),
            mails=mails,
            faults=this.chooser.faults,
            go_of_mail=world.go_of_mail + (world.go,) * (len(mails) - len(world.mails)),
            is_refused=world.is_refused or this.is_refused,
            is_unwritten=this.is_unwritten and ending == "success",
            excuses=frozenset(this.excuses),
            reschedules=world.reschedules + 1 if ending in ("asked", "rescheduled") else 0,
            question=this.doubts if ending == "asked" else (),
            answer=None,
            may_send=this.may_send,
        )
        if ending == "asked":
            return after._replace(state="asking")
        if ending in ("success", "failed"):
            return after._replace(state=ending, is_unheard=False)
        has_ended = this.is_done_stored and (this.is_dead or this.is_given_up)
        return after._replace(
            state="waiting" if after.reschedules or this.number <= world.max_tries else "failed",
            is_unheard=self._is_done(after) and (world.is_unheard or has_ended),
        )

    def _is_done(self, world: World) -> bool:
        """Return whether the state says that everything is done."""
        head = world.head
        return head is None if self.case.store == "variables" else bool(head and head["complete"])

    def _judge(self, this: Try, after: World, ending: str, result: Any) -> None:
        world, broken = this.world, this.broken
        ids: dict[str, list[str]] = {record_id: [] for record_id in RECORD_IDS}
        for row, go in zip(after.mails, after.go_of_mail, strict=True):
            if go == after.go:
                ids[row[2]].append(row[1])
        if len(after.mails) > len(world.mails) and any(len(found) > 1 for found in ids.values()):
            broken.append(TWICE)
        if after.state == "success" and not all(ids.values()):
            broken.append(GREEN)
        if not this.chooser.said and ending != "success":
            is_first = this.number == world.first_number and not world.reschedules
            may_be_left = ending == "failed" and not is_first
            is_policy = self.case.on_unknown_outcome == "fail" or world.is_left
            if not (may_be_left and (world.is_refused or is_policy)):
                broken.append(f"{LOST}: a try without faults ends as {ending}")
        told = self._told(ending, result)
        for record_id, (message_id, error) in told.items():
            is_true = message_id in ids[record_id] if message_id else bool(error)
            is_hearsay = not message_id and SAID_SENT in after.excuses
            if not is_true and not is_hearsay and not (message_id and after.excuses & {H5, H9}):
                broken.append(f"{TOLD}: {told}")

    def _told(self, ending: str, result: Any) -> dict[str, tuple[str | None, str | None]]:
        """Return what is reported for each record: the id of its mail, or an error."""
        if self.case.mails == 1:
            return {RECORD_IDS[0]: (result, None)} if ending == "success" else {}
        table = result if ending == "success" else self.instance.xcoms.get("return_value")
        if ending not in ("success", "failed") or not table:
            return {}
        said = {row["record_id"]: (row["message_id"], row["error"]) for row in table["rows"]}
        return {record_id: said.get(record_id, (None, None)) for record_id in RECORD_IDS}

    def acts(self, world: World) -> Iterator[tuple[str, World]]:
        """Yield what a person may do between two tries."""
        if world.state == "asking":
            yield from self._answers(world)
        if not world.clears or not world.number:
            return
        excuses = set(world.excuses)
        if world.is_unheard:
            excuses.add(H3)
        if world.state == "success" and world.is_unwritten and not self._is_done(world):
            excuses.add(H5)
        cleared = world._replace(
            max_tries=world.number + RETRIES,
            state="waiting",
            clears=world.clears - 1,
            go=world.go + (world.state == "success"),
            is_unheard=False,
            is_refused=False,
            excuses=frozenset(excuses),
            reschedules=0,
            question=(),
            is_left=False,
        )
        yield "cleared", cleared._replace(clear_number=world.clear_number + 1, start=world.now)
        if self.case.store != "state store" and self.case.mails == 1:
            yield "cleared while its run was running, before Airflow 3.2", cleared

    def _answers(self, world: World) -> Iterator[tuple[str, World]]:
        """Yield the possible outcomes of a question."""
        going_on = world._replace(state="waiting")
        yield "nobody answers", going_on._replace(answer="nothing")
        yield "a person says: leave it", going_on._replace(answer="leave", is_left=True)
        yield "a person says: send it", going_on._replace(answer="send", may_send=True)
        excuses = world.excuses | {SAID_SENT}
        yield "a person says: it was sent", going_on._replace(answer="sent", excuses=excuses)


def _ask(*task: Any, arguments: dict[str, Any], **how: Any) -> None:
    raise Asks(arguments["doubts"])


def make_task(case: Case) -> Any:
    from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator, BiginSendMailOperator

    rows = [{"record_id": record_id, "to": f"{record_id}@example.org"} for record_id in RECORD_IDS]
    mail: dict[str, Any] = {
        "task_id": "mail",
        "retries": RETRIES,
        "subject": "Your invoice",
        "content": "<p>It is due.</p>",
        "from_email": "ada@example.com",
        "on_unknown_outcome": case.on_unknown_outcome,
    }
    if case.has_file:
        mail["files"] = __file__
    if case.mails == 1:
        return BiginSendMailOperator(**mail, **rows[0])
    return BiginBulkSendMailOperator(**mail, mails=rows, max_concurrency=1)


@dataclass
class Report:
    """The result of an enumeration."""

    case: Case
    schedules: int = 0
    tries: int = 0
    states: int = 0
    seconds: float = 0.0
    violations: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    stories: list[str] = field(default_factory=list)


def explore(case: Case, mutant: str | None = None, *, stop_at_first: bool = False) -> Report:
    """Run all tries of a case."""
    report, begun = Report(case), time.monotonic()
    with Harness(case, mutant) as harness:
        start = harness.beginning()
        worlds: dict[Any, World] = {start.identity(): start}
        ways = Counter({start.identity(): 1})
        before: dict[Any, tuple[Any, str]] = {}
        numbers = count()
        # Each step raises the number of the try, uses up a clear, lets a try run again, or ends its question:
        # so what leads to a state comes before it.
        waiting = [(0, 0, 0, False, next(numbers), start.identity())]

        def go_on(key: Any, step: str, after: World) -> Any:
            new = after.identity()
            if new not in worlds:
                worlds[new], before[new] = after, (key, step)
                order = (after.number, case.clears - after.clears, after.reschedules, after.state != "asking")
                heapq.heappush(waiting, (*order, next(numbers), new))
            ways[new] += ways[key]
            return new

        while waiting and not (stop_at_first and report.stories):
            *_, key = heapq.heappop(waiting)
            world = worlds[key]
            report.schedules += ways[key] * (world.state in ("success", "failed"))
            for step, after in harness.acts(world):
                go_on(key, step, after)
            for chooser in every_way(world.faults) if world.state == "waiting" else ():
                after, broken = harness.attempt(world, chooser)
                step = f"try {after.number}: {'; '.join(chooser.said) or 'as usual'} -> {after.state}"
                for violation in broken:
                    kind = violation.partition(":")[0]
                    excuse = next((name for name in after.excuses if EXCUSES[name] == kind), None)
                    if excuse:
                        report.excused[excuse] += 1
                    else:
                        report.violations[kind] += 1
                        report.stories.append("\n    ".join([violation, *_steps(before, key), step]))
                go_on(key, step, after)
        report.tries, report.states = harness.tries, len(worlds)
    report.seconds = time.monotonic() - begun
    return report


def _steps(before: dict[Any, tuple[Any, str]], key: Any) -> list[str]:
    steps: list[str] = []
    while key in before:
        key, step = before[key]
        steps.insert(0, step)
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(description="Run all schedules of faults.")
    parser.add_argument("--case", help="only cases with this in their name")
    parser.add_argument("--faults", type=int, default=2, help="in all tries of a task (default: %(default)s)")
    parser.add_argument("--mutant", choices=MUTANTS, help="break a rule, to see that it is found")
    arguments = parser.parse_args()
    cases = [case for case in CASES if (arguments.case or "") in str(case)]
    print(f"{'case':38} {'schedules':>12} {'tries':>7} {'states':>7}  " + "  ".join(VIOLATIONS))
    total: Counter[str] = Counter()
    is_broken = False
    for case in cases:
        case = replace(case, faults=arguments.faults)
        report = explore(case, arguments.mutant, stop_at_first=bool(arguments.mutant))
        figures = "  ".join(f"{report.violations[name]:>{len(name)}}" for name in VIOLATIONS)
        crashed = report.violations["crashed"]
        print(
            f"{case!s:38} {report.schedules:>12,} {report.tries:>7,} {report.states:>7,}  {figures}"
            f"  {report.seconds:.0f} s{f'  crashed {crashed}' if crashed else ''}",
            flush=True,
        )
        for name, number in report.excused.items():
            print(f"    excused: {name}: {number}")
        for story in shortest(report.stories):
            print(f"    {story}", flush=True)
        total += Counter(schedules=report.schedules, tries=report.tries, states=report.states)
        is_broken |= bool(report.stories)
    print(
        f"\n{total['schedules']:,} schedules: all ways from the beginning to an end over {total['states']:,}"
        f" states, each continued in all ways by {total['tries']:,} tries that were run, with up to"
        f" {arguments.faults} faults and one clear."
    )
    sys.exit(is_broken)


def shortest(stories: Iterable[str]) -> list[str]:
    """Return the shortest story of each violation."""
    by_violation: dict[str, str] = {}
    for story in sorted(stories, key=len):
        by_violation.setdefault(story.partition("\n")[0].partition(":")[0], story)
    return list(by_violation.values())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, {"AIRFLOW_HOME": home}):
        main()
