"""Control of a running sandbox, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

READY_WITHIN = 30.0


class SandboxControl:
    """
    The control API of a sandbox, as methods.

    :param url: its base URL.
    :param password: needed only if it requires a login.
    """

    def __init__(self, url: str, password: str = "") -> None:
        self.url = url
        #: Seconds by which the clock was advanced since the last reset.
        self.advanced = 0.0
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = ("1000.SANDBOXCLIENT", password)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        """
        Call the control API and return the response.

        :param path: the path after ``/sandbox``.
        :raises requests.HTTPError: if the call is refused.
        """
        # A POST without JSON is refused, since it may come from a web page.
        answer = self._session.request(
            method, f"{self.url}/sandbox{path}", json=body or {}, params=query, timeout=READY_WITHIN
        )
        answer.raise_for_status()
        return answer.json()

    def connection(self) -> dict[str, Any]:
        """Return the connection to this sandbox, in the JSON form of ``AIRFLOW_CONN_...`` variables."""
        connection: dict[str, Any] = self.call("GET", "/connection")
        return connection

    def reset(self) -> None:
        """Return to the state of a new sandbox."""
        self.call("POST", "/reset")
        self.advanced = 0.0

    def mails(self, record_id: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the mails that arrived, newest first."""
        mails: list[dict[str, Any]] = self.call("GET", "/mails", record_id=record_id, limit=limit)["mails"]
        return mails

    def mail_count(self, record_id: str | None = None) -> int:
        """Return the number of mails that arrived."""
        count: int = self.call("GET", "/mails/count", record_id=record_id)["count"]
        return count

    def mail_counts(self) -> dict[str, int]:
        """Return the number of mails of each record."""
        counts: dict[str, int] = self.call("GET", "/mails/counts")
        return counts

    def add_mail(self, module: str, record_id: str, **mail: Any) -> str:
        """
        File a mail that did not come through the API and return its id.

        :param mail: its fields, see the sandbox's documentation.
        """
        mail = {"module": module, "record_id": record_id, **mail}
        message_id: str = self.call("POST", "/mails", mail)["message_id"]
        return message_id

    def set_status(self, message_id: str, kind: str, reason: str | None = None) -> None:
        """Mark a mail as ``opened``, ``bounced``, or anything else."""
        self.call("POST", f"/mails/{message_id}/status", {"type": kind, "reason": reason})

    def now(self) -> float:
        """Return the sandbox's time."""
        now: float = self.call("GET", "/clock")["now"]
        return now

    def advance(self, seconds: float) -> float:
        """Advance the sandbox's clock and return the new time."""
        now: float = self.call("POST", "/clock", {"advance": seconds})["now"]
        self.advanced += seconds
        return now

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings, if any are given, and return all of them."""
        settings: dict[str, Any] = self.call("PATCH", "/settings", changes)
        return settings

    def fault(self, on: str, fault: str, **how: Any) -> None:
        """
        Add a fault.

        :param on: the call it applies to.
        :param fault: its name.
        :param how: ``times`` (None for always), ``skip``, ``record_id``, ``seconds``, ``retry_after``.
        """
        self.call("POST", "/faults", {"on": on, "fault": fault, **how})

    def faults(self) -> list[dict[str, Any]]:
        """Return the pending faults."""
        faults: list[dict[str, Any]] = self.call("GET", "/faults")["faults"]
        return faults

    def clear_faults(self) -> None:
        """Remove all faults."""
        self.call("DELETE", "/faults")

    def counts(self) -> dict[str, int]:
        """Return how often each API call was made; 0 for calls that were not made."""
        return _Counts(self.call("GET", "/requests")["counts"])

    def statuses(self) -> dict[str, int]:
        """Return how often each response status occurred."""
        return _Counts(self.call("GET", "/requests")["statuses"])

    def log(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the last requests, newest first."""
        log: list[dict[str, Any]] = self.call("GET", "/requests/log", limit=limit)["requests"]
        return log

    def expire_tokens(self) -> None:
        """Make every access token invalid."""
        self.call("POST", "/tokens/expire")

    def throttle_tokens(self, seconds: float) -> None:
        """Make the token endpoint refuse all requests for some time."""
        self.call("POST", "/tokens/throttle", {"seconds": seconds})

    def new_grant(self) -> str:
        """Return a fresh grant code."""
        code: str = self.call("POST", "/grants")["code"]
        return code

    def revoke_refresh_token(self) -> None:
        """Revoke every refresh token."""
        self.call("POST", "/refresh_token/revoke")

    def add_records(self, module: str, records: list[dict[str, Any]]) -> list[str]:
        """Add records and return their ids."""
        ids: list[str] = self.call("POST", f"/records/{module}", {"records": records})["ids"]
        return ids

    def add_contacts(self, number: int) -> list[str]:
        """Add made-up contacts, each with its own address, and return their ids."""
        ids: list[str] = self.call("POST", "/records/Contacts", {"count": number})["ids"]
        return ids

    def close(self) -> None:
        """Close the connections to the sandbox."""
        self._session.close()


class _Counts(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return 0


@contextlib.contextmanager
def sandbox_thread(host: str = "127.0.0.1", *, public: bool = False) -> Iterator[SandboxControl]:
    """
    Run a sandbox in this process, on a free port.

    :param host: the address on which it listens.
    :param public: whether it requires a login, like one that others can reach.
    """
    from airflow_provider_bigin.sandbox.app import create_app
    from airflow_provider_bigin.sandbox.server import listen, server
    from airflow_provider_bigin.sandbox.state import Sandbox

    sock = listen(host, 0)
    account = Sandbox()
    password = account.credentials["client_secret"]
    web = server(create_app(account, public=public))
    thread = threading.Thread(target=web.run, kwargs={"sockets": [sock]}, name="sandbox", daemon=True)
    thread.start()
    control = SandboxControl(f"http://{host}:{sock.getsockname()[1]}", password)
    try:
        _wait_until_ready(control, thread.is_alive)
        yield control
    finally:
        control.close()
        web.should_exit = True
        thread.join(READY_WITHIN)


@contextlib.contextmanager
def sandbox_process(
    database: str | os.PathLike[str] | None = None, port: int = 0
) -> Iterator[SandboxControl]:
    """
    Run a sandbox as a separate process, on a free port unless one is given.

    :param database: a SQLite file in which it stores everything.
    """
    command = [sys.executable, "-m", "airflow_provider_bigin.sandbox", "--port", str(port)]
    if database:
        command += ["--db", os.path.abspath(database)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            first_line = process.stdout.readline()
            if not first_line:
                raise RuntimeError("the sandbox did not start")
            url = first_line.split()[-1].removesuffix("/bigin/v2")
            control = SandboxControl(url)
            _wait_until_ready(control, lambda: process.poll() is None)
            yield control
            control.close()
        finally:
            process.terminate()
            process.communicate(timeout=READY_WITHIN)


def _wait_until_ready(control: SandboxControl, alive: Any) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            control.now()
            return
        except requests.ConnectionError:
            if not alive() or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
