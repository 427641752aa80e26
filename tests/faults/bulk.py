"""
Many mails from one task that is killed again and again: everybody gets exactly one.

Each try is a separate process, forked from one that has everything imported, and is killed with SIGKILL at a
random moment. Waiting happens on the sandbox's clock, which the worker shares.

Run it with ``python -m tests.faults.bulk --help``.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.faults.run import SandboxClock, make_store, prepared_sandbox
from tests.sandbox_control import SandboxControl
from tests.task_instance import StateStore, TaskInstance

#: Tries that are not killed, to finish what the killed ones left undone.
LAST_TRIES = 5


@dataclass(frozen=True)
class Report:
    """The result of a run."""

    seed: int
    mails: int
    kills: int
    tries: int
    arrived: int
    duplicates: int
    missing: int
    strangers: int
    writes: int
    largest_value: int
    ends: tuple[str, ...]
    seconds: float

    @property
    def is_right(self) -> bool:
        """Return whether everybody got exactly one mail, their own, and the task knows it."""
        return (
            self.arrived == self.mails
            and not self.duplicates
            and not self.missing
            and not self.strangers
            and self.ends[-1] == f"success {self.mails}"
        )


def run(
    *, mails: int, kills: int, lost: int, seed: int, store: str = "state store", **settings: Any
) -> Report:
    """
    Send mails from a task that is killed repeatedly.

    :param mails: how many rows the task has.
    :param kills: how many of its tries are killed.
    :param lost: how many responses are lost in each of those tries.
    :param seed: the seed of all randomness except the operating system's.
    :param store: where Airflow keeps the task's state: ``state store``, ``variables``, or ``none``.
    :param settings: the sandbox's settings.
    """
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory, prepared_sandbox(Path(directory)) as sandbox:
        sandbox.settings(token_limits=False, **settings)
        rows = make_rows(sandbox, mails)
        sizes = Path(directory) / "sizes"
        instance = TaskInstance(
            make_task(rows, retries=kills + LAST_TRIES),
            store=make_store(store, Path(directory) / "state.db"),
            start=sandbox.now(),
        )
        if instance.store:
            note_writes(instance.store, sizes)
        targets = sorted(chance.randrange(mails) for _ in range(kills))
        ends: list[str] = []
        begun = time.monotonic()
        while True:
            for _ in range(lost if targets else 0):
                fault = chance.choice(("lost_answer", "500_after", "dropped", "429_concurrency"))
                sandbox.fault("send_mail", fault, skip=chance.randrange(max(1, mails // 10)))
            target = targets.pop(0) if targets else None
            end = run_try(instance, sandbox, kill_at=target, delay=chance.uniform(0, 0.2))
            ends.append(end)
            sandbox.clear_faults()
            sandbox.advance(chance.choice((5, 60, 300)))
            if end.startswith(("success", "failed")) or instance.try_number > instance.max_tries:
                break
            instance.retry()
        return make_report(sandbox, rows, seed=seed, ends=ends, sizes=sizes, seconds=time.monotonic() - begun)


def note_writes(store: StateStore, sizes: Path) -> None:
    """Record the size of each write to a store, from any process, as a line."""
    sizes.touch()
    set_state = store.set

    def noted(key: str, value: Any, **how: Any) -> None:
        set_state(key, value, **how)
        with sizes.open("a") as file:
            file.write(f"{len(json.dumps(value))}\n")

    store.set = noted  # type: ignore[method-assign]


def make_rows(sandbox: SandboxControl, number: int) -> list[dict[str, str]]:
    """Make rows for new contacts."""
    return [
        {"record_id": record_id, "to": f"{record_id}@example.org"}
        for record_id in sandbox.add_contacts(number)
    ]


def make_task(rows: list[dict[str, str]], *, retries: int) -> Any:
    from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator

    return BiginBulkSendMailOperator(
        task_id="mails",
        retries=retries,
        mails=rows,
        subject="Invoice",
        content="<p>{{ mail.record_id }}</p>",
        from_email="ada@example.com",
    )


def run_try(instance: TaskInstance, sandbox: SandboxControl, *, kill_at: int | None, delay: float) -> str:
    """
    Run a try in a separate process and kill it shortly after a number of mails have arrived.

    :return: how it ended: ``killed``, ``success`` with the number of delivered mails, or the error's name.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=lambda: sender.send(end_of(instance.run, sandbox.url)))
    process.start()
    sender.close()
    if kill_at is not None:
        while process.is_alive() and sandbox.mail_count() < kill_at:
            time.sleep(0.01)
        time.sleep(delay)
        process.kill()
    with receiver:
        try:
            return str(receiver.recv())
        except EOFError:
            return "killed"
        finally:
            process.join()


def end_of(work: Callable[[], Any], url: str) -> str:
    """Run a try on the sandbox's clock and return how it ended."""
    from airflow_provider_bigin.hooks.bigin import BiginHook

    BiginHook.clock = SandboxClock(SandboxControl(url))
    try:
        result = work()
    except Exception as error:
        return f"{'failed' if 'FailException' in type(error).__name__ else 'retry'} {error}"
    return f"success {result['sent'] + result['already_sent']}"


def make_report(
    sandbox: SandboxControl,
    rows: list[dict[str, str]],
    *,
    seed: int,
    ends: list[str],
    sizes: Path,
    seconds: float,
) -> Report:
    """Count the mails that arrived and the state that was written."""
    arrived = sandbox.mails()
    numbers = Counter(mail["record_id"] for mail in arrived)
    written = [int(line) for line in sizes.read_text().split()] if sizes.exists() else []
    return Report(
        seed=seed,
        mails=len(rows),
        kills=ends.count("killed"),
        tries=len(ends),
        arrived=len(arrived),
        duplicates=sum(number > 1 for number in numbers.values()),
        missing=sum(row["record_id"] not in numbers for row in rows),
        strangers=sum(
            mail["to"][0]["email"] != f"{mail['record_id']}@example.org"
            or mail["record_id"] not in mail["content"]
            for mail in arrived
        ),
        writes=len(written),
        largest_value=max(written, default=0),
        ends=tuple(ends),
        seconds=seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument(
        "--lost", type=int, default=0, help="answers that get lost in each try that is killed"
    )
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3), "big"))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    report = run(**vars(arguments))
    for name, value in asdict(report).items():
        print(f"{name:14} {value}")
    raise SystemExit(0 if report.is_right else 1)


if __name__ == "__main__":
    main()
