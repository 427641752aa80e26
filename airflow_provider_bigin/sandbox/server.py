"""The web server: uvicorn, with connections that can be dropped."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_transports: dict[Any, asyncio.Transport] = {}


class DroppableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol, which remembers the connection of each client.

    ASGI has no way to end a connection without an answer.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Remember the connection by the client's address."""
        super().connection_made(transport)
        self._client = tuple(transport.get_extra_info("peername"))
        _transports[self._client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        _transports.pop(self._client, None)
        super().connection_lost(exc)


async def drop_connection(scope: Scope, receive: Receive) -> None:
    """Close a client's socket without an answer.

    :param scope: ASGI scope of its request.
    :param receive: ASGI receive, drained until the server has noticed.
    """
    transport = _transports.get(tuple(scope["client"]))
    if transport is not None:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    :param host: an address, or a name of this machine.
    :param port: 0 takes a free port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off, which would cost 40 ms for each answer.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(1024)
    return sock


def server(app: ASGIApp) -> uvicorn.Server:
    """Return a server for the app, to be run on a socket of :func:`listen`."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=DroppableProtocol,
            lifespan="off",
            log_level="warning",
            access_log=False,
            date_header=False,  # the date is that of the sandbox's clock
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=60,  # on a busy machine 5 s end while the next request is under way
        )
    )
