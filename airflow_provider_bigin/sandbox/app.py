"""The web application."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from airflow_provider_bigin.sandbox import account, control, emails, files, inbox, oauth, records, send_mail
from airflow_provider_bigin.sandbox.answers import ApiError, unknown_url
from airflow_provider_bigin.sandbox.edge import Edge
from airflow_provider_bigin.sandbox.state import Sandbox


def create_app(database: str = ":memory:") -> ASGIApp:
    """Return the sandbox as an ASGI application.

    :param database: a SQLite file, or ``:memory:``.
    """
    sandbox = Sandbox(database)
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.state.sandbox = sandbox
    for part in (oauth, account, files, send_mail, emails, records, control, inbox):
        app.include_router(part.router)
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(StarletteHTTPException, _unrouted)
    app.add_exception_handler(ClientDisconnect, _unread)
    return Edge(app, sandbox)


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    if not request.url.path.startswith(("/bigin/", "/oauth/")):
        return await http_exception_handler(request, error)
    if error.status_code == 405:
        return ApiError(
            400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one"
        ).response()
    return unknown_url().response()


async def _unread(request: Request, error: Exception) -> Response:
    """The client died in the middle of its request: nobody reads this, and it is no fault of the sandbox."""
    return Response(status_code=400)
