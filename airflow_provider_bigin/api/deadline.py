"""
A timeout for a whole request, and a size limit for its response.

The timeout of requests applies to the connection and then to each read separately: a response that trickles
in byte by byte would never end. Here everything that a connection does ends when the request's time is up,
and reading ends when a response is larger than any of Zoho's, counted after decompression.
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

#: Maximum bytes of a response. A page of records with long texts has a few MiB.
MAX_ANSWER_SIZE = 10 * 1024 * 1024
#: Maximum bytes of the compressed response that are decompressed at a time.
CHUNK_SIZE = 10 * 1024
#: When this thread's request has to be finished, by the monotonic clock.
_deadline: ContextVar[float] = ContextVar("deadline", default=inf)


class AnswerTooLargeError(RequestException):
    """The response was too large and was not read to its end."""


class DeadlineAdapter(HTTPAdapter):
    """Read each response, and end the request after its ``timeout`` or if the response is too large."""

    def send(  # type: ignore[override]
        self, request: PreparedRequest, stream: bool = False, timeout: float | None = None, **kwargs: Any
    ) -> Response:
        """
        Make a request.

        :raises AnswerTooLargeError: if the response has more than ``MAX_ANSWER_SIZE`` bytes.
        """
        with time_limit(inf if timeout is None else timeout):
            response = super().send(request, stream, timeout, **kwargs)
            response._content = _read_to_the_end(response)  # what requests uses as the body from here on
        return response

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create the connection pool."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        """Create the connection pool for a proxy; a SOCKS proxy keeps its own."""
        manager = super().proxy_manager_for(*args, **kwargs)
        if isinstance(manager, ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Limit the time of the block: no request in it sends a byte afterward, whatever its own timeout."""
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
            raise AnswerTooLargeError(f"the response is larger than {MAX_ANSWER_SIZE // 1024**2} MiB")
    return bytes(content)


def _time_left(deadline: float) -> float | None:
    """Return the seconds left in the form that a socket takes: None if there is no limit."""
    left = deadline - SYSTEM_CLOCK.monotonic()
    if left <= 0:
        raise TimeoutError("the request's time is up")
    return None if left == inf else left


class _Reader(io.RawIOBase):
    """Read from a socket until a deadline."""

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
            raise ConnectTimeoutError(self, "connected after the deadline") from error

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
