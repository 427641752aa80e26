"""The web server: uvicorn with connections that can be dropped."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

_transports: dict[Any, asyncio.Transport] = {}


class DroppableProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """
    The HTTP protocol of uvicorn, extended to remember each client's connection.

    ASGI has no way to close a connection without a response.
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
    """
    Close a client's socket without a response.

    :param scope: the ASGI scope of its request.
    :param receive: its ASGI receive callable, drained until the server notices the disconnect.
    """
    transport = _transports.get(tuple(scope["client"]))
    if transport is not None:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def listen(host: str, port: int) -> socket.socket:
    """
    Return a listening socket.

    :param host: an address or a hostname of this machine.
    :param port: the port; 0 picks a free one.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # If the protocol is explicit, asyncio disables Nagle's algorithm, which would cost 40 ms per response.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(1024)
    return sock


def server(app: ASGIApp) -> uvicorn.Server:
    """Return a server for the app, to be run on a socket from :func:`listen`."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=DroppableProtocol,
            lifespan="off",
            log_level="warning",
            access_log=False,
            date_header=False,  # the date comes from the sandbox's clock
            server_header=False,
            timeout_graceful_shutdown=2,
            timeout_keep_alive=60,  # on a busy machine, 5 s can expire while the next request is in transit
        )
    )
