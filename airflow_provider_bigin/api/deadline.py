"""
A time-out that is for a whole request, and an answer that has an end.

That of requests is for the connection, and then for each read anew: an answer that comes byte by byte would
never end. Here whatever a connection does ends when the request's time is over, and reading ends where an
answer is larger than any of Zoho's, counted after decompression.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from http.client import HTTPResponse
from math import inf
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

from airflow_provider_bigin.api.clock import SYSTEM_CLOCK

#: Bytes of an answer, at most. A page of records with long texts has a few MiB.
MAX_ANSWER_SIZE = 10 * 1024 * 1024
#: Bytes, at most, of the compressed answer that are decompressed at a time.
CHUNK_SIZE = 10 * 1024
#: When the request that this thread makes has to be over, by the monotonic clock.
_deadline: ContextVar[float] = ContextVar("deadline", default=inf)


class AnswerTooLargeError(RequestException):
    """An answer that was not read to its end."""


class DeadlineAdapter(HTTPAdapter):
    """Reads each answer, and ends the request after its ``timeout`` or if the answer is too large."""

    def send(  # type: ignore[override]
        self, request: PreparedRequest, stream: bool = False, timeout: float | None = None, **kwargs: Any
    ) -> Response:
        """
        Make a request.

        :raises AnswerTooLargeError: if the answer has more than ``MAX_ANSWER_SIZE`` bytes.
        """
        with time_limit(inf if timeout is None else timeout):
            response = super().send(request, stream, timeout, **kwargs)
            response._content = _read_to_the_end(response)  # what requests takes for the body from here on
        return response

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Make the pool of connections to a proxy; one that speaks SOCKS keeps its own."""
        manager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """
    Limit the time of what is done in here: no request sends a byte after it, and none has longer for itself.
    """
    token = _deadline.set(min(_deadline.get(), SYSTEM_CLOCK.monotonic() + seconds))
    try:
        yield
    finally:
        _deadline.reset(token)


def _read_to_the_end(response: Response) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(CHUNK_SIZE):
        content += chunk
        if len(content) > MAX_ANSWER_SIZE:
            response.close()
            raise AnswerTooLargeError(f"the answer is larger than {MAX_ANSWER_SIZE // 1024**2} MiB")
    return bytes(content)


def _time_left(deadline: float) -> float | None:
    """Return seconds as a socket takes them: None if there is no end."""
    left = deadline - SYSTEM_CLOCK.monotonic()
    if left <= 0:
        raise TimeoutError("the request's time is over")
    return None if left == inf else left


class _Reader(io.RawIOBase):
    """Reads from a socket until a time."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, deadline: float) -> None:
        self._raw, self._sock, self._deadline = raw, sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_time_left(self._deadline))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock, _deadline.get()))


class _Deadline(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        super().connect()
        try:
            _time_left(_deadline.get())
        except TimeoutError as error:
            self.close()
            raise ConnectTimeoutError(self, "connected too late") from error

    def send(self, data: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(_time_left(_deadline.get()))
        super().send(data)


class _HTTPSDeadline(_Deadline, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _Deadline


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSDeadline


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}
