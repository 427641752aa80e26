"""Access control and size limits for everything that reaches the sandbox."""

from __future__ import annotations

import re
import secrets
from itertools import accumulate
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_bigin.sandbox import files, seed
from airflow_provider_bigin.sandbox.state import SandboxOfRequest

BODY_BYTES = 10 * 1024 * 1024
UPLOAD_BYTES = files.FILES * files.FILE_BYTES + BODY_BYTES
NESTING = 32

_JSON_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)


async def log_in(
    sandbox: SandboxOfRequest, given: Annotated[HTTPBasicCredentials, Depends(HTTPBasic())]
) -> None:
    """
    Require the connection's login and password.

    :raises HTTPException: if they do not match.
    """
    login = f"{seed.CLIENT_ID}:{sandbox.credentials['client_secret']}"
    if not secrets.compare_digest(f"{given.username}:{given.password}".encode(), login.encode()):
        raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})


class SameOrigin:
    """
    ASGI middleware that refuses requests from other sites' web pages.

    Browsers name the page's site in ``Origin``. Even if one does not, a page cannot send JSON without a
    preflight request, and a ``POST`` to the control API must be JSON.

    :param app: the application to guard.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        refusal = _refusal(Request(scope)) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)


def _refusal(request: Request) -> Response | None:
    headers = request.headers
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2] != headers.get("host"):
        return PlainTextResponse("Pages of other sites may not use the sandbox.", 403)
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_control = request.method == "POST" and request.scope["path"].startswith("/sandbox/")
    if is_control and content_type != "application/json":
        return PlainTextResponse("Set Content-Type: application/json, even without a body.", 415)
    return None


class BodyLimit:
    """
    ASGI middleware that refuses bodies that are too large or too deeply nested.

    :param app: the application to guard.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_upload = scope["path"] == files.router.prefix
        limit = UPLOAD_BYTES if is_upload else BODY_BYTES
        announced = int(Request(scope).headers.get("content-length", 0))
        size = 0
        body = bytearray()

        # HTTPException is the one exception that FastAPI does not wrap while it reads the body.
        async def limited() -> Message:
            nonlocal size
            if announced > limit:
                raise HTTPException(413)
            message = await receive()
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise HTTPException(413)
            if not is_upload:
                body.extend(chunk)
                if not message.get("more_body") and _nesting(body) > NESTING:
                    raise HTTPException(400, f"nested more than {NESTING} levels deep")
            return message

        await self.app(scope, limited, send)


def _nesting(body: bytes | bytearray) -> int:
    """Return how deeply the arrays and objects of a JSON text are nested, without parsing it."""
    brackets = re.findall(rb"[][{}]", _JSON_TEXT.sub(b"", body))
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)
