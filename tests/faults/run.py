"""
Run random fault schedules: nobody is mailed twice, nobody is forgotten, nothing false is claimed.

Each schedule is one task with three retries and up to three faults: lost responses, refusals, outages, and
SIGKILL of the worker at each point of its work. Every try is a separate process. Waiting happens on the
sandbox's clock, which the worker shares.

Run it with ``python -m tests.faults.run --help``.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.sandbox_control import SandboxControl, sandbox_process
from tests.task_instance import StateStore, TaskInstance, Variables

RETRIES = 3

#: Faults of send_mail that the sandbox injects, by their effect.
LOST = (
    "lost_answer",
    "500_after",
    "502_html_after",
    "truncated",
    "success_without_id",
    "custom_error_after",
    "slow",
)
NOT_TAKEN = ("dropped", "500_before", "502_html", "503_before", "empty_200", "custom_error")
PASSING = ("429_concurrency", "429_plain", "429_credits", "daily_limit", "record_locked", "invalid_token")
REFUSED = ("item_error", "scope_mismatch")
#: Where a worker is killed.
KILLS = ("kill before request", "kill before answer", "kill before store", "kill at end")
#: Calls that fail for the duration of one try.
OUTAGES = ("list 500", "list CANNOT_PROCESS", "list 429", "list dropped")
TOKEN = ("token throttled", "token 500_before")

FAULTS = (*LOST, *NOT_TAKEN, *PASSING, *REFUSED, *KILLS, *OUTAGES, *TOKEN)


@dataclass(frozen=True)
class Variant:
    """
    Conditions that apply to all schedules of a run.

    :param store: where Airflow keeps the task's state: ``state store``, ``variables``, or ``none``.
    :param is_readable: whether the list can be read well enough that every mail must be found or sent.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    store: str = "state store"
    on_unknown_outcome: str = "check"
    is_readable: bool = True


CIRCUMSTANCES = {
    "": Variant(),
    "list lags 20 s": Variant({"emails_lag": 20}),
    "no single mail": Variant({"single_mail": False}),
    "list forbidden, fail": Variant({"emails_outage": "scope"}, on_unknown_outcome="fail", is_readable=False),
    "list empty, fail": Variant(
        {"emails_default_empty": True, "emails_type": False}, on_unknown_outcome="fail", is_readable=False
    ),
}
VARIANTS = {
    **{
        f"{store}, {name}".removesuffix(", "): replace(variant, store=store)
        for store in ("state store", "variables", "none")
        for name, variant in CIRCUMSTANCES.items()
    },
    "mark stripped": Variant({"strip_markup": True}),
    "key email_related_list": Variant({"emails_key": "email_related_list"}),
    "key data": Variant({"emails_key": "data"}),
    "sent_from_crm only": Variant({"emails_default_empty": True}),
}

VIOLATIONS = (
    "duplicate",
    "missing behind success",
    "wrong id",
    "not sent although a retry was left",
    "arrived behind failure",
)


@dataclass(frozen=True)
class Outcome:
    """The result of one schedule."""

    variant: str
    faults: tuple[tuple[int, str], ...]
    tries: tuple[str, ...]
    mails: int
    violation: str | None


class SandboxClock:
    """The sandbox's clock, shared with the worker: waiting advances it for both and takes no real time."""

    def __init__(self, sandbox: SandboxControl) -> None:
        self._sandbox = sandbox

    def time(self) -> float:
        return self._sandbox.now()

    def monotonic(self) -> float:
        return self.time()

    def sleep(self, seconds: float) -> None:
        self._sandbox.advance(seconds)


def run_schedule(
    sandbox: SandboxControl, variant_name: str, chance: random.Random, directory: Path
) -> Outcome:
    """Run one task through its tries and judge the result."""
    variant = VARIANTS[variant_name]
    faults = draw_faults(chance)
    (record_id,) = sandbox.add_contacts(1)
    instance = make_instance(record_id, variant, directory / record_id, start=sandbox.now())
    tries: list[str] = []
    while True:
        is_met = instance.reschedules > 0  # by the same try, before it had to wait
        ours = [] if is_met else [fault for number, fault in faults if number == instance.try_number]
        order_faults(sandbox, variant, record_id, ours)
        kill = next((fault for fault in ours if fault in KILLS), None)
        end, result = run_in_process(lambda kill=kill: run_try(instance, kill), sandbox.url)
        tries.append(f"{end}: {result}" if result else end)
        sandbox.clear_faults()
        sandbox.settings(emails_outage=variant.settings.get("emails_outage"))
        sandbox.advance(chance.choice((5, 60, 300)))
        if end == "rescheduled":
            instance.run_again()
            continue
        if end in ("success", "failed") or instance.try_number > RETRIES:
            break
        instance.retry()
    mails = sandbox.mails(record_id)
    violation = judge(
        variant,
        mails=[mail["message_id"] for mail in mails],
        end=end,
        result=result,
        was_refused=any(fault in REFUSED for _, fault in faults),
        was_forgotten=variant.store == "variables" and "kill at end" in [fault for _, fault in faults],
        tries_left=RETRIES + 1 - instance.try_number,
    )
    return Outcome(variant_name, faults, tuple(tries), len(mails), violation)


def draw_faults(chance: random.Random) -> tuple[tuple[int, str], ...]:
    """Draw up to three faults, each with the try that it hits: the first, or the one after another fault."""
    faults, number = [], 1
    for _ in range(chance.randint(0, RETRIES)):
        faults.append((number, chance.choice(FAULTS)))
        number += chance.choice((0, 1))
    return tuple(faults)


def judge(
    variant: Variant,
    *,
    mails: list[str],
    end: str,
    result: str | None,
    was_refused: bool,
    was_forgotten: bool,
    tries_left: int,
) -> str | None:
    """
    Return the rule that was broken, if any.

    :param was_forgotten: whether a try may have died after it had deleted the state as its last act, of which
        the task fails in doubt.
    """
    if len(mails) > 1:
        return "duplicate"
    if end == "success":
        if not mails:
            return "missing behind success"
        return None if mails == [result] else "wrong id"
    if not variant.is_readable:
        return None
    if mails:
        return None if was_forgotten else "arrived behind failure"
    if tries_left and not was_refused:
        return "not sent although a retry was left"
    return None


def make_instance(record_id: str, variant: Variant, directory: Path, *, start: float) -> TaskInstance:
    from airflow_provider_bigin.operators.bigin import BiginSendMailOperator

    directory.mkdir()
    operator = BiginSendMailOperator(
        task_id="mail",
        retries=RETRIES,
        record_id=record_id,
        to=f"{record_id}@example.org",
        cc="team@example.org",
        subject="Your invoice",
        content="<p>It is due.</p>",
        from_email="ada@example.com",
        on_unknown_outcome=variant.on_unknown_outcome,
    )
    return TaskInstance(
        operator, store=make_store(variant.store, directory / "state.db"), start=start, run_id=record_id
    )


def make_store(kind: str, path: Path) -> StateStore | None:
    """Create Airflow's storage for this process and those forked from it."""
    os.environ["AIRFLOW__BIGIN__STATE"] = "none" if kind == "none" else "auto"
    if kind == "none":
        return None
    if kind == "state store":
        return StateStore(path)
    variables = Variables(path)
    variables.replace_airflows()
    return variables


def order_faults(sandbox: SandboxControl, variant: Variant, record_id: str, faults: list[str]) -> None:
    """Inject the faults of the next try into the sandbox."""
    for fault in faults:
        if fault in KILLS:
            continue
        if fault.startswith("token "):
            sandbox.fault("token", fault.removeprefix("token "))
        elif fault == "list dropped":
            sandbox.fault("emails", "dropped", times=None)
        elif fault.startswith("list "):
            if variant.is_readable:
                sandbox.settings(emails_outage=fault.removeprefix("list "))
        else:
            # A slow answer comes after the connection's timeout.
            sandbox.fault("send_mail", fault, record_id=record_id, seconds=1.5 if fault == "slow" else 0)


def run_try(instance: TaskInstance, kill: str | None) -> str:
    """Run one try in this process, which is killed where the schedule says so."""
    if kill:
        arm(kill)
    result = instance.run()
    if kill == "kill at end":
        die()
    return str(result)


def arm(kill: str) -> None:
    """Prepare this process to be killed at a point of its POST."""
    from http.client import HTTPConnection

    from airflow_provider_bigin.api.client import BiginClient

    send_mail, getresponse = BiginClient.send_mail, HTTPConnection.getresponse
    is_posting = False

    def killed_send_mail(self: Any, *args: Any, before_post: Callable[[], None], **options: Any) -> Any:
        def announce() -> None:
            nonlocal is_posting
            before_post()
            if kill == "kill before request":
                die()
            is_posting = True

        sent = send_mail(self, *args, before_post=announce, **options)
        if kill == "kill before store":
            die()
        return sent

    def killed_getresponse(self: HTTPConnection) -> Any:
        if is_posting and kill == "kill before answer":
            # The request is out. Read the response from the wire, so that it is certainly processed, and tell
            # nobody.
            getresponse(self)
            die()
        return getresponse(self)

    BiginClient.send_mail = killed_send_mail  # type: ignore[method-assign]
    HTTPConnection.getresponse = killed_getresponse  # type: ignore[method-assign]


def die() -> None:
    """Kill this process as the kernel's out-of-memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)


def run_in_process(work: Callable[[], str], url: str) -> tuple[str, str | None]:
    """
    Fork, run, and return how it ended and with what.

    It ends with ``success``, ``failed`` for good, ``retry``, ``rescheduled``, or ``killed``. The parent has
    everything imported, so a try has no startup cost.
    """
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            with os.fdopen(write_end, "w") as pipe:
                json.dump(_end_of(work, url), pipe)
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "killed", None
    end, result = json.loads(told)
    return end, result


def _end_of(work: Callable[[], str], url: str) -> tuple[str, str]:
    from airflow_provider_bigin.api.errors import BiginError
    from airflow_provider_bigin.hooks.bigin import BiginHook
    from airflow_provider_bigin.version_compat import AirflowFailException, AirflowRescheduleException

    logging.disable(logging.CRITICAL)  # thousands of tries, each with its lines
    BiginHook.clock = SandboxClock(SandboxControl(url))
    try:
        return "success", work()
    except AirflowFailException as error:
        return "failed", str(error)
    except AirflowRescheduleException as wait:
        return "rescheduled", str(wait.reschedule_date)
    except BiginError as error:
        return "retry", str(error)
    except BaseException:
        traceback.print_exc()
        return "crashed", traceback.format_exc()


def run_lane(variants: list[str], schedules: int, seed: int, results: Any) -> None:
    """Run schedules one after the other against their own sandbox, whose clock only they use."""
    with tempfile.TemporaryDirectory() as directory, prepared_sandbox(Path(directory)) as sandbox:
        for variant in variants:
            sandbox.reset()
            sandbox.settings(token_limits=False, **VARIANTS[variant].settings)
            for number in range(schedules):
                chance = random.Random(f"{seed} {variant} {number}")
                outcome = run_schedule(sandbox, variant, chance, Path(tempfile.mkdtemp(dir=directory)))
                results.put((number, outcome))
    results.put(None)


@contextmanager
def prepared_sandbox(directory: Path) -> Iterator[SandboxControl]:
    """Start a sandbox, make the connection to it, and import what the tries need."""
    with sandbox_process() as sandbox:
        connection = sandbox.connection()
        connection["extra"]["timeout"] = "1"
        environment = {
            "AIRFLOW_CONN_BIGIN_DEFAULT": json.dumps(connection),
            # So that a token fault hits the try it was meant for.
            "AIRFLOW__BIGIN__TOKEN_CACHE": "none",
            "AIRFLOW__BIGIN__STATE": "auto",
            "AIRFLOW_HOME": str(directory),
        }
        with patch.dict(os.environ, environment):
            import airflow_provider_bigin.delivery.engine
            import airflow_provider_bigin.hooks.bigin
            import airflow_provider_bigin.operators.bigin  # noqa: F401

            yield sandbox


def run(variants: list[str], schedules: int, seed: int, lanes: int = 2) -> list[tuple[int, Outcome]]:
    """
    Run schedules of each variant, divided among lanes.

    :param variants: names from :data:`VARIANTS`.
    :param schedules: how many schedules of each.
    :param seed: the seed of all randomness; the same seed gives the same schedules.
    :param lanes: how many sandboxes run in parallel.
    """
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    shares = [variants[lane::lanes] for lane in range(lanes)]
    processes = [
        context.Process(target=run_lane, args=(share, schedules, seed, results)) for share in shares if share
    ]
    for process in processes:
        process.start()
    outcomes: list[tuple[int, Outcome]] = []
    try:
        for _ in processes:
            while (item := results.get(timeout=600)) is not None:
                outcomes.append(item)
    finally:
        for process in processes:
            process.join(10)
            process.kill()
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description="Run random fault schedules and count what must not happen.")
    parser.add_argument("--schedules", type=int, default=500, help="of each variant (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="default: all")
    arguments = parser.parse_args()
    variants = arguments.variant or list(VARIANTS)
    print(f"seed {arguments.seed}, {arguments.schedules} schedules of each variant", flush=True)
    outcomes = run(variants, arguments.schedules, arguments.seed)
    print(report(variants, outcomes))
    sys.exit(any(outcome.violation for _, outcome in outcomes))


def report(variants: list[str], outcomes: list[tuple[int, Outcome]]) -> str:
    """Return a table of the variants and their violations, and each schedule that broke a rule."""
    lines = [f"{'variant':32} {'schedules':>9} {'tries':>6} {'mails':>6}  " + "  ".join(VIOLATIONS)]
    for variant in variants:
        ours = [outcome for _, outcome in outcomes if outcome.variant == variant]
        counts = Counter(outcome.violation for outcome in ours)
        figures = "  ".join(f"{counts[name]:>{len(name)}}" for name in VIOLATIONS)
        tries, mails = sum(len(outcome.tries) for outcome in ours), sum(outcome.mails for outcome in ours)
        lines.append(f"{variant:32} {len(ours):>9} {tries:>6} {mails:>6}  {figures}")
    for number, outcome in outcomes:
        if outcome.violation:
            lines.append(
                f"{outcome.violation}: {outcome.variant}, schedule {number}: {outcome.faults} ->"
                f" {outcome.tries}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
