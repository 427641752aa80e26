"""
Processes that each send one mail, as tasks do: ``python -m tests.processes.senders``.

They are forked from one that has imported everything and all start at once. An :class:`Order` is read from
standard input as one line of JSON; each process prints its :class:`Outcome` as one line, after a mark,
because Airflow logs there, too.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cryptography.fernet
import cryptography.hazmat.primitives.kdf.hkdf  # noqa: F401
import filelock  # noqa: F401
import requests  # noqa: F401
import tenacity  # noqa: F401

from airflow_provider_bigin.api.access_token import SharedToken
from airflow_provider_bigin.api.client import BiginClient, new_session
from airflow_provider_bigin.api.clock import SYSTEM_CLOCK, Clock
from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.api.oauth import Credentials
from airflow_provider_bigin.api.repeat import send_repeatedly
from airflow_provider_bigin.api.token_cache import FileTokenCache, TokenCache
from tests.sandbox_control import SandboxControl

OUTCOME_MARK = "outcome: "
MAIL = Mail.compose(
    from_email="ada@example.com", to="ada.lovelace@example.org", subject="One of many", content="<p>Hi</p>"
)


@dataclass(frozen=True)
class Order:
    """
    What the processes should do.

    :param connection: the connection to the sandbox, in the JSON form of ``AIRFLOW_CONN_...`` variables.
    :param cache: ``file`` or ``variable``.
    :param directory: of the token cache, if that is ``file``. With ``variable``, the processes share nothing
        but Airflow's database, as machines do.
    :param record_ids: one for each process.
    :param early: how many processes wait with their access token in hand until a line is read from standard
        input.
    :param sandbox_time: wait on the sandbox's clock.
    :param disk_full: prevent all processes from writing files.
    """

    connection: dict[str, Any]
    directory: str
    record_ids: list[str]
    cache: str = "file"
    early: int = 0
    sandbox_time: bool = False
    disk_full: bool = False

    @property
    def url(self) -> str:
        url: str = self.connection["extra"]["accounts_server"]
        return url


@dataclass
class Outcome:
    """The outcome of a process; ``error`` is None if its mail was sent."""

    record_id: str
    error: str | None = None
    warnings: list[str] = field(default_factory=list)


def credentials_of(connection: dict[str, Any]) -> Credentials:
    """Read the credentials of a connection."""
    extra = connection["extra"]
    return Credentials(
        extra["accounts_server"], connection["login"], connection["password"], extra["refresh_token"]
    )


class SandboxTime:
    """The sandbox's clock, on which waiting takes no time; durations are real."""

    def __init__(self, url: str) -> None:
        self._sandbox = SandboxControl(url)

    def time(self) -> float:
        return self._sandbox.now()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        self._sandbox.advance(seconds)


class Gate:
    """A gate that holds forked processes back until it is opened."""

    def __init__(self) -> None:
        self._exit, self._entry = os.pipe()

    def pass_through(self) -> None:
        os.close(self._entry)
        os.read(self._exit, 1)

    def open(self) -> None:
        os.close(self._entry)


def main() -> None:
    order = Order(**json.loads(sys.stdin.readline()))
    if order.cache == "variable":
        _prepare_airflow()
    start, go_on = Gate(), Gate()
    early = [_fork(order, number, start, go_on) for number in range(order.early)]
    others = [_fork(order, number, start, None) for number in range(order.early, len(order.record_ids))]
    start.open()
    for process in others:
        os.waitpid(process, 0)
    if early:
        sys.stdin.readline()
    go_on.open()
    for process in early:
        os.waitpid(process, 0)


def _fork(order: Order, number: int, start: Gate, go_on: Gate | None) -> int:
    process = os.fork()
    if process:
        return process
    try:
        start.pass_through()
        outcome = _send(order, number, go_on)
        os.write(sys.stdout.fileno(), f"{OUTCOME_MARK}{json.dumps(asdict(outcome))}\n".encode())
    finally:
        os._exit(0)


def _send(order: Order, number: int, go_on: Gate | None) -> Outcome:
    if order.disk_full:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    outcome = Outcome(order.record_ids[number])
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: outcome.warnings.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("airflow_provider_bigin").addHandler(handler)
    try:
        clock: Clock = SandboxTime(order.url) if order.sandbox_time else SYSTEM_CLOCK
        session = new_session()
        tokens = SharedToken(
            credentials_of(order.connection),
            _cache(order.cache, order.directory),
            session=session,
            timeout=30,
            clock=clock,
        )
        client = BiginClient(tokens, session=session, api_domain=order.url, clock=clock)
        if go_on:
            tokens.get()
            go_on.pass_through()
        send_repeatedly(lambda: client.send_mail("Contacts", outcome.record_id, MAIL), clock=clock)
    except Exception as error:
        outcome.error = f"{type(error).__name__}: {error}"
    return outcome


def _cache(kind: str, directory: str) -> TokenCache:
    if kind == "file":
        return FileTokenCache(Path(directory))
    from airflow_provider_bigin.hooks.token_cache import VariableTokenCache

    return VariableTokenCache()


def _prepare_airflow() -> None:
    """Create the table of Variables without leaving a connection open that all processes would share."""
    from airflow import settings
    from airflow.models import Variable, import_all_models

    import_all_models()
    table = Variable.__table__
    referred = [key.column.table for key in table.foreign_keys]
    table.metadata.create_all(settings.engine, tables=[table, *referred])
    _cache("variable", "").read("any")  # import and prepare what each process would otherwise
    settings.engine.dispose()


if __name__ == "__main__":
    main()
