"""
Measure the time, CPU time, and memory of many mails from one task, compared with other ways to send them.

``time``: wall and CPU time compared with the lower bound (mails x latency / concurrency), with a loop over
the hook of Airflow's ``HttpOperator``, and with a loop over a bare ``requests.Session``. ``memory``: the
peak for many mails compared with that for few, and how often state is written.

Each measurement runs in its own process. ``python -m tests.faults.bulk`` shows how SIGKILLs are survived.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.sandbox_control import SandboxControl, sandbox_process

CONTENT = "<p>Dear {{ mail.name }},</p>" + "<p>Your invoice is due.</p>" * 100
CONCURRENCY = 5


@dataclass(frozen=True)
class Cost:
    """The cost of one way to send mails."""

    mails: int
    seconds: float
    cpu_seconds: float
    peak_mebibytes: float
    writes: int | None

    def __str__(self) -> str:
        cpu = f"{self.cpu_seconds / self.mails * 1000:.2f} ms CPU per mail"
        return f"{self.mails} mails in {self.seconds:.2f} s, {cpu}, peak {self.peak_mebibytes:.1f} MiB"


def main() -> None:
    """Run the benchmark that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("time", "memory"), help="default: both")
    parser.add_argument("--mails", type=int, help="default: 1,000 for time, 10,000 for memory")
    parser.add_argument(
        "--latency", type=float, default=0.2, help="seconds Bigin takes to respond (default: %(default)s)"
    )
    arguments = parser.parse_args()
    with sandbox_process() as sandbox:
        sandbox.settings(token_limits=False)
        if arguments.what != "time":
            compare_memory(sandbox, arguments.mails or 10_000)
        if arguments.what != "memory":
            compare_time(sandbox, arguments.mails or 1000, arguments.latency)


def compare_time(sandbox: SandboxControl, mails: int, latency: float) -> None:
    """Print the time of each way to send the mails."""
    sandbox.settings(latency=latency)
    costs = {way: measure(way, sandbox, mails) for way in (bulk_operator, session_loop, http_hook_loop)}
    for way, cost in costs.items():
        print(f"{way.__name__:15} {cost}")
    ours = costs[bulk_operator]
    bound = mails * latency / CONCURRENCY
    print(f"lower bound {bound:.1f} s: the bulk operator took {ours.seconds / bound:.3f} times as long")
    for way in (session_loop, http_hook_loop):
        cost = costs[way]
        print(
            f"{way.__name__} took {cost.seconds / ours.seconds:.2f} times as long as the bulk operator"
            f" and {cost.cpu_seconds / ours.cpu_seconds:.2f} times the CPU time"
        )


def compare_memory(sandbox: SandboxControl, mails: int) -> None:
    """Print the peak memory for few and for many mails."""
    few, many = measure(bulk_operator, sandbox, 100), measure(bulk_operator, sandbox, mails)
    print(few)
    print(many)
    print(f"peak {many.peak_mebibytes - few.peak_mebibytes:.1f} MiB more for {mails} mails than for 100")
    print(f"{many.writes} state writes, one per {mails / (many.writes or 1):.0f} mails")


def measure(way: Callable[[list[dict[str, str]]], None], sandbox: SandboxControl, mails: int) -> Cost:
    """Send mails in one way, in a separate process."""
    os.environ["AIRFLOW_CONN_BIGIN_DEFAULT"] = json.dumps(sandbox.connection())
    os.environ["AIRFLOW_CONN_HTTP_DEFAULT"] = json.dumps({"conn_type": "http", "host": sandbox.url})
    os.environ["AIRFLOW__BIGIN__TOKEN_CACHE"] = "none"
    rows = [
        {"record_id": record_id, "to": f"{record_id}@example.org", "name": f"Person {record_id}"}
        for record_id in sandbox.add_contacts(mails)
    ]
    before = sandbox.mail_count()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        cost = pool.apply(spend, (way, rows))
    assert sandbox.mail_count() - before == mails
    return cost


def spend(way: Callable[[list[dict[str, str]]], Any], rows: list[dict[str, str]]) -> Cost:
    """Send mails and return the cost, without that of the imports."""
    logging.disable(logging.INFO)
    send = way(rows[1:])
    way(rows[:1])()
    wall, cpu = time.monotonic(), time.process_time()
    writes = send()
    return Cost(
        mails=len(rows),
        seconds=time.monotonic() - wall,
        cpu_seconds=time.process_time() - cpu,
        peak_mebibytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        writes=writes,
    )


def bulk_operator(rows: list[dict[str, str]]) -> Callable[[], int]:
    """Prepare the bulk operator; sending returns the number of state writes."""
    from airflow_provider_bigin.operators.bigin import BiginBulkSendMailOperator
    from tests.task_instance import StateStore, TaskInstance

    operator = BiginBulkSendMailOperator(
        task_id="mails",
        mails=rows,
        subject="Invoice of {{ mail.name }}",
        content=CONTENT,
        from_email="ada@example.com",
        max_concurrency=CONCURRENCY,
    )
    store = StateStore(Path(tempfile.mkdtemp()) / "state.db")
    instance = TaskInstance(operator, store=store, start=time.time())

    def send() -> int:
        instance.run()
        return store.writes

    return send


def session_loop(rows: list[dict[str, str]]) -> Callable[[], None]:
    """Prepare a loop over a bare ``requests.Session``."""
    import requests

    session = requests.Session()
    url, headers = endpoint()

    def send() -> None:
        for row in rows:
            session.post(
                url.format(**row), json=body(row), headers=headers, timeout=30, allow_redirects=False
            ).json()

    return send


def http_hook_loop(rows: list[dict[str, str]]) -> Callable[[], None]:
    """Prepare a loop over the hook of Airflow's ``HttpOperator``."""
    from airflow.providers.http.operators.http import HttpOperator

    url, headers = endpoint()
    operator = HttpOperator(task_id="mails", endpoint="", method="POST")
    path = url.split("/", 3)[3]

    def send() -> None:
        for row in rows:
            operator.hook.run(
                f"/{path.format(**row)}",
                json.dumps(body(row)),
                {**headers, "Content-Type": "application/json"},
            ).json()

    return send


def endpoint() -> tuple[str, dict[str, str]]:
    """Return the URL to post a mail to and the headers, with an access token."""
    from airflow_provider_bigin.hooks.bigin import BiginHook

    hook = BiginHook()
    token = hook.get_conn()._tokens.get().value
    url = f"{hook.settings.api_domain}/bigin/v2/Contacts/{{record_id}}/actions/send_mail"
    return url, {"Authorization": f"Zoho-oauthtoken {token}"}


def body(row: dict[str, str]) -> dict[str, Any]:
    """Return the request body that the operator sends for a row."""
    return {
        "data": [
            {
                "from": {"email": "ada@example.com"},
                "to": [{"email": row["to"]}],
                "subject": f"Invoice of {row['name']}",
                "content": CONTENT.replace("{{ mail.name }}", row["name"]),
                "mail_format": "html",
            }
        ]
    }


if __name__ == "__main__":
    main()
