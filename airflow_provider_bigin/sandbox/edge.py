"""The edge of the sandbox: everything between the socket and the handlers."""

from __future__ import annotations

import asyncio
import contextlib
from email.utils import formatdate

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_bigin.sandbox.answers import sub_concurrency, to_json, without_status
from airflow_provider_bigin.sandbox.clock import iso
from airflow_provider_bigin.sandbox.faults import OUTAGES, Answer, Fault
from airflow_provider_bigin.sandbox.server import drop_connection
from airflow_provider_bigin.sandbox.state import Sandbox
from airflow_provider_bigin.sandbox.traffic import Call, call_of


class Edge:
    """
    ASGI middleware that logs API calls, injects faults, delays responses, and adds Zoho's headers.

    A request is carried out before its latency elapses, so that a mail counts as accepted while its response
    is still in transit.

    :param app: the application with the handlers.
    :param sandbox: the sandbox that they work on.
    """

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self.app = app
        self.sandbox = sandbox
        self._sending = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        call = call_of(scope["path"])
        if call is None:
            await self._deliver(await _run(self.app, scope, receive), receive, send)
            return
        entry = self.sandbox.traffic.arrived(call, scope, self.sandbox.clock.now())
        answer = await self._answer(call, scope, receive)
        self.sandbox.traffic.answered(entry, None if answer is None else answer.status)
        if answer is None:
            await drop_connection(scope, receive)
            return
        self._add_headers(answer, scope)
        if _is_api(scope) and answer.status >= 400 and not self.sandbox.settings.error_status:
            answer.body = without_status(answer.body)
        await self._deliver(answer, receive, send)

    async def _answer(self, call: Call, scope: Scope, receive: Receive) -> Answer | None:
        if call.name != "send_mail":
            return await self._delayed_answer(call, scope, receive)
        limit = self.sandbox.settings.concurrency_limit
        if limit is not None and self._sending >= limit:
            refusal = sub_concurrency()
            return Answer(refusal.status, to_json(refusal.body))
        self._sending += 1
        try:
            return await self._delayed_answer(call, scope, receive)
        finally:
            self._sending -= 1

    async def _delayed_answer(self, call: Call, scope: Scope, receive: Receive) -> Answer | None:
        fault = self.sandbox.faults.take(call)
        answer = await self._faulty_answer(call, scope, receive, fault)
        delay = fault.delay if fault else 0.0
        if _is_api(scope):
            delay += self.sandbox.settings.latency
        if delay:
            await _sleep_while_client_waits(delay, receive)
        return answer

    async def _faulty_answer(
        self, call: Call, scope: Scope, receive: Receive, fault: Fault | None
    ) -> Answer | None:
        settings = self.sandbox.settings
        if fault is not None and not fault.effect.processed:
            return fault.alter(Answer(200), settings)
        if call.name == "emails" and settings.emails_outage is not None:
            if settings.emails_outage == "timeout":
                await _wait_for_disconnect(receive)
                return None
            return OUTAGES[settings.emails_outage].change(Answer(200), settings)
        answer = await _run(self.app, scope, receive)
        return answer if fault is None else fault.alter(answer, settings)

    def _add_headers(self, answer: Answer, scope: Scope) -> None:
        answer.headers["server"] = "ZGS"
        answer.headers["cache-control"] = "no-store, no-cache, must-revalidate, private"
        if not _is_api(scope):
            return
        if self.sandbox.settings.credits_remaining is not None:
            answer.headers["x-api-credits-remaining"] = str(self.sandbox.settings.credits_remaining)
        expires_at = scope.get("state", {}).get("token_expires_at")
        if expires_at is not None and answer.status == 200:
            answer.headers["x-accesstoken-reset"] = iso(expires_at)
            answer.headers.setdefault("content-disposition", "attachment; filename=response.json")

    async def _deliver(self, answer: Answer, receive: Receive, send: Send) -> None:
        headers = dict(answer.headers)
        settings = self.sandbox.settings
        if settings.date == "nonsense":
            headers["date"] = "Fri, 31 Dec 99999999999999999999 23:59:59 GMT"
        elif settings.date == "right":
            headers["date"] = formatdate(self.sandbox.clock.now() + settings.date_skew, usegmt=True)
        if answer.status != 204:
            headers["content-length"] = str(len(answer.body))
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()],
            }
        )
        if answer.pause is None:
            await send({"type": "http.response.body", "body": answer.body})
        else:
            await _send_slowly(answer.body, answer.pause, receive, send)


def _is_api(scope: Scope) -> bool:
    path: str = scope["path"]
    return path.startswith("/bigin/")


async def _run(app: ASGIApp, scope: Scope, receive: Receive) -> Answer:
    answer = Answer(500, headers={})
    chunks: list[bytes] = []

    async def collect(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in message["headers"]}
        elif message["type"] == "http.response.body":
            chunks.append(message.get("body", b""))

    await app(scope, receive, collect)
    answer.body = b"".join(chunks)
    return answer


async def _send_slowly(body: bytes, pause: float, receive: Receive, send: Send) -> None:
    for number in body:
        await send({"type": "http.response.body", "body": bytes([number]), "more_body": True})
        if not await _sleep_while_client_waits(pause, receive):
            break
    await send({"type": "http.response.body"})


async def _sleep_while_client_waits(seconds: float, receive: Receive) -> bool:
    """Sleep, but not beyond a disconnect, and return whether the client is still waiting."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_wait_for_disconnect(receive), seconds)
        return False
    return True


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
