"""The web application."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from airflow_provider_bigin.sandbox import (
    account,
    control,
    emails,
    files,
    inbox,
    metadata,
    oauth,
    records,
    send_mail,
)
from airflow_provider_bigin.sandbox.answers import ApiError, unknown_url
from airflow_provider_bigin.sandbox.edge import Edge
from airflow_provider_bigin.sandbox.guard import BodyLimit, SameOrigin, log_in
from airflow_provider_bigin.sandbox.state import Sandbox

# Older versions of Starlette cut an IPv6 address at its first colon. A hostname cannot start with a bracket.
LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "[")


def create_app(sandbox: Sandbox, hosts: Sequence[str] = LOOPBACK, *, public: bool = False) -> ASGIApp:
    """
    Return the sandbox as an ASGI application.

    :param sandbox: what it serves.
    :param hosts: the hostnames it accepts, which prevents DNS rebinding.
    :param public: whether others can reach it, under any hostname; the inbox and the control API then require
        a login.
    """
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.sandbox = sandbox
    app.add_middleware(BodyLimit)
    for part in (oauth, account, metadata, files, send_mail, emails, records):
        app.include_router(part.router)
    for part in (control, inbox):
        app.include_router(part.router, dependencies=[Depends(log_in)] if public else [])
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(StarletteHTTPException, _unrouted)
    app.add_exception_handler(ClientDisconnect, _client_disconnected)
    return TrustedHostMiddleware(
        SameOrigin(Edge(app, sandbox)), ["*"] if public else hosts, www_redirect=False
    )


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    if error.status_code not in (404, 405) or not request.url.path.startswith(("/bigin/", "/oauth/")):
        return await http_exception_handler(request, error)
    if error.status_code == 405:
        return ApiError(
            400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one"
        ).response()
    return unknown_url().response()


async def _client_disconnected(request: Request, error: Exception) -> Response:
    """Return a response for a client that disconnected mid-request, which nobody will read."""
    return Response(status_code=400)
