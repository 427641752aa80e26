"""
A single-threaded world for enumerations.

It has the sandbox without sockets, time that passes only when somebody waits, and pools that work in order.
So a run is deterministic, takes milliseconds, and can be rolled back to any earlier state.
"""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from itertools import count
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from airflow_provider_bigin.sandbox.app import create_app
from airflow_provider_bigin.sandbox.faults import Fault
from airflow_provider_bigin.sandbox.state import Sandbox
from tests.task_instance import StateStore, Variables

EPOCH = 1_800_000_000.0
TOKEN = "token"
ORIGIN = "http://127.0.0.1:1"


class VirtualClock:
    """The clock of both the sandbox and the package."""

    def __init__(self) -> None:
        self.seconds = EPOCH

    def time(self) -> float:
        return self.seconds

    now = monotonic = time

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class LocalSandbox:
    """The sandbox, called directly without a connection; its mails can be replaced."""

    def __init__(self, clock: VirtualClock) -> None:
        self.sandbox = Sandbox()
        self._app = create_app(self.sandbox)
        self._loop = asyncio.new_event_loop()
        self.sandbox.clock = clock
        self.sandbox.store.execute("INSERT INTO access_token VALUES (?, '', ?)", TOKEN, 2 * EPOCH)

    def connection(self) -> str:
        """Return the connection to it, as the value of an ``AIRFLOW_CONN_...`` variable."""
        extra = {"access_token": TOKEN, "accounts_server": ORIGIN, "api_domain": ORIGIN}
        return json.dumps({"conn_type": "bigin", "extra": extra})

    def add_contacts(self, number: int) -> list[str]:
        """Add made-up contacts and return their ids."""
        request = requests.Request("POST", f"{ORIGIN}/sandbox/records/Contacts", json={"count": number})
        ids: list[str] = self.exchange(request.prepare()).json()["ids"]
        return ids

    def exchange(self, request: requests.PreparedRequest, fault: str | None = None) -> requests.Response:
        """
        Make the sandbox respond to a request.

        :param fault: the sandbox's fault that hits this request.
        :raises requests.ConnectionError: if it drops the connection.
        """
        if fault:
            self.sandbox.faults.add(Fault(on="any", fault=fault))
        status, headers, body = self._loop.run_until_complete(self._call(request))
        if not status:
            raise requests.ConnectionError("the connection was dropped")
        raw = HTTPResponse(io.BytesIO(body), headers, status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def mails(self) -> tuple[tuple[Any, ...], ...]:
        """Return the rows of all mails, oldest first."""
        return tuple(map(tuple, self.sandbox.store.rows("SELECT * FROM mail ORDER BY number")))

    def put_back(self, mails: tuple[tuple[Any, ...], ...]) -> None:
        """Replace all mails with these."""
        store = self.sandbox.store
        store.execute("DELETE FROM mail")
        store.execute("DELETE FROM file")  # each try uploads its own
        store.insert_many("INSERT INTO mail VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", [*mails])
        self.sandbox.traffic.clear()
        self.sandbox.faults.clear()

    async def _call(self, request: requests.PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        path, _, query = request.path_url.partition("?")
        scope = {
            "type": "http",
            "method": request.method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": [
                (name.lower().encode(), (value if isinstance(value, bytes) else value.encode()))
                for name, value in {"Host": "127.0.0.1", **request.headers}.items()
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 1),
        }
        body = request.body or b""
        arriving = [{"type": "http.request", "body": body if isinstance(body, bytes) else body.encode()}]
        start: dict[str, Any] = {"status": 0, "headers": []}
        parts = [b""]

        async def receive() -> dict[str, Any]:
            return arriving.pop() if arriving else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return start["status"], headers, b"".join(parts)


class MemoryStore(StateStore):
    """
    The task state store in memory.

    :param reached: called with an operation's name, a key, and the action, which it may or may not perform.
    """

    def __init__(self, reached: Callable[[str, str, Any, Callable[[], Any]], Any]) -> None:
        self.kept: dict[str, str] = {}
        self._reached = reached

    def begin_try(self) -> None:
        """Do not replace any other try, because dead tries do nothing anymore."""

    def get(self, key: str, default: Any = None) -> Any:
        text = self._reached("read", key, None, lambda: self.kept.get(key))
        return json.loads(text) if text else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        text = json.dumps(value)
        assert value == json.loads(text)
        self._reached("write", key, value, lambda: self.kept.update({key: text}))

    def delete(self, key: str) -> None:
        self._reached("deletion", key, None, lambda: self.kept.pop(key, None))


class MemoryVariables(MemoryStore, Variables):
    """The Variables of Airflow's database in memory."""


class Task(Future):  # type: ignore[type-arg]
    """Work that is waiting for its turn."""

    numbers = count()

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__()
        self.number = next(self.numbers)
        self._work = work

    def do(self) -> None:
        try:
            self.set_result(self._work())
        except BaseException as error:
            self.set_exception(error)


class InTurn:
    """
    A stand-in for a thread pool that works lazily and in order.

    Submitted work is done only when somebody waits for it, that is, as late as possible.
    """

    def __init__(self, *args: Any) -> None:
        pass

    def submit(self, function: Callable[..., Any], *args: Any) -> Task:
        return Task(lambda: function(*args))

    def map(self, function: Callable[..., Any], values: Iterable[Any]) -> Iterable[Any]:
        return map(function, values)

    def shutdown(self, **how: Any) -> None:
        pass

    @staticmethod
    def wait(tasks: set[Task], return_when: Any = None) -> tuple[set[Task], set[Task]]:
        """Do the work that was submitted first."""
        first = min(tasks, key=lambda task: task.number)
        first.do()
        return {first}, tasks - {first}
