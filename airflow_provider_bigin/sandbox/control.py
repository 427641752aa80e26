"""The control API under ``/sandbox``: inspect what arrived, inject faults, move the clock."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from airflow_provider_bigin.sandbox import mails, oauth, seed
from airflow_provider_bigin.sandbox.clock import iso
from airflow_provider_bigin.sandbox.faults import Fault
from airflow_provider_bigin.sandbox.settings import Settings
from airflow_provider_bigin.sandbox.state import SandboxOfRequest

router = APIRouter(prefix="/sandbox")


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Advance(_Body):
    """Body of ``POST /sandbox/clock``."""

    advance: float


class Throttle(_Body):
    """Body of ``POST /sandbox/tokens/throttle``."""

    seconds: float = Field(ge=0)


class Status(_Body):
    """Body of ``POST /sandbox/mails/{message_id}/status``."""

    type: str
    reason: str | None = None


class OtherMail(_Body):
    """Body of ``POST /sandbox/mails``."""

    record_id: str
    module: str = "Contacts"
    sender: str = "someone@example.net"
    to: list[str] = ["ada@example.com"]
    cc: list[str] = []
    subject: str = ""
    content: str = ""
    mail_format: Literal["html", "text"] = "html"
    received: bool = False
    ago: float = 0.0


class NewRecords(_Body):
    """Body of ``POST /sandbox/records/{module}``."""

    records: list[dict[str, Any]] = []
    count: int = Field(0, ge=0)


@router.post("/reset")
async def reset(sandbox: SandboxOfRequest) -> dict[str, Any]:
    """Return to the state of a new sandbox."""
    sandbox.reset()
    return {"status": "reset"}


@router.get("/connection")
async def get_connection(request: Request, sandbox: SandboxOfRequest) -> dict[str, Any]:
    """Return the Airflow connection to this sandbox."""
    return sandbox.connection(oauth.own_url(request))


@router.get("/mails")
async def get_mails(
    sandbox: SandboxOfRequest, record_id: str | None = None, limit: int = -1
) -> dict[str, list[dict[str, Any]]]:
    """Return mails, newest first."""
    now = sandbox.clock.now()
    return {"mails": [mails.as_json(row, now) for row in mails.newest(sandbox.store, record_id, limit)]}


@router.post("/mails")
async def add_mail(mail: OtherMail, sandbox: SandboxOfRequest) -> dict[str, str]:
    """File a mail under a record that did not come through the API: a colleague's or a received one."""
    message_id, now = mails.new_id(), sandbox.clock.now()
    fields: dict[str, Any] = {
        **dict.fromkeys(("reply_to", "org_email", "scheduled_time")),
        **mail.model_dump(exclude={"sender", "ago"}),
        "from": {"email": mail.sender, "user_name": None},
        "to": [{"email": email} for email in mail.to],
        "cc": [{"email": email} for email in mail.cc],
        "bcc": [],
        "attachments": [],
    }
    mails.add(sandbox.store, message_id, fields, "null", now, now - mail.ago)
    return {"message_id": message_id}


@router.get("/mails/count")
async def count_mails(sandbox: SandboxOfRequest, record_id: str | None = None) -> dict[str, int]:
    """Return the number of mails."""
    return {"count": mails.count(sandbox.store, record_id)}


@router.get("/mails/counts")
async def count_mails_by_record(sandbox: SandboxOfRequest) -> dict[str, int]:
    """Return the number of mails of each record."""
    return mails.counts(sandbox.store)


@router.post("/mails/{message_id}/status")
async def set_status(message_id: str, status: Status, sandbox: SandboxOfRequest) -> dict[str, Any]:
    """Mark a mail as opened, bounced, or anything else."""
    row = mails.find(sandbox.store, message_id)
    if row is None:
        raise HTTPException(404, "no such mail")
    mails.add_status(sandbox.store, row, status.type, status.reason, sandbox.clock.now())
    return {"message_id": message_id, "state": status.type}


@router.get("/clock")
async def get_clock(sandbox: SandboxOfRequest) -> dict[str, float]:
    """Return the sandbox's time."""
    return {"now": sandbox.clock.now()}


@router.post("/clock")
async def advance_clock(body: Advance, sandbox: SandboxOfRequest) -> dict[str, float]:
    """Advance the clock without waiting."""
    sandbox.advance_clock(body.advance)
    return {"now": sandbox.clock.now()}


@router.get("/settings")
async def get_settings(sandbox: SandboxOfRequest) -> Settings:
    """Return all settings."""
    return sandbox.settings


@router.patch("/settings")
async def change_settings(changes: dict[str, Any], sandbox: SandboxOfRequest) -> Settings:
    """Change some settings."""
    try:
        sandbox.change_settings(changes)
    except ValidationError as error:
        raise HTTPException(422, error.errors(include_url=False, include_context=False)) from None
    return sandbox.settings


@router.get("/faults")
async def get_faults(sandbox: SandboxOfRequest) -> dict[str, list[dict[str, Any]]]:
    """Return the pending faults."""
    return {"faults": sandbox.faults.waiting()}


@router.post("/faults")
async def add_fault(fault: Fault, sandbox: SandboxOfRequest) -> dict[str, list[dict[str, Any]]]:
    """Add a fault."""
    sandbox.faults.add(fault)
    return {"faults": sandbox.faults.waiting()}


@router.delete("/faults")
async def delete_faults(sandbox: SandboxOfRequest) -> dict[str, list[dict[str, Any]]]:
    """Remove all faults."""
    sandbox.faults.clear()
    return {"faults": []}


@router.get("/requests")
async def count_requests(sandbox: SandboxOfRequest) -> dict[str, dict[str, int]]:
    """Return the number of calls by name and by response status."""
    return {"counts": dict(sandbox.traffic.counts), "statuses": dict(sandbox.traffic.statuses)}


@router.get("/requests/log")
async def get_log(sandbox: SandboxOfRequest, limit: int = 100) -> dict[str, list[dict[str, Any]]]:
    """Return the latest calls, newest first, with secrets redacted."""
    return {"requests": list(reversed(sandbox.traffic.log))[: max(limit, 0)]}


@router.post("/tokens/expire")
async def expire_tokens(sandbox: SandboxOfRequest) -> dict[str, int]:
    """Make every access token invalid."""
    return {"expired": sandbox.store.execute("DELETE FROM access_token").rowcount}


@router.post("/tokens/throttle")
async def throttle_tokens(body: Throttle, sandbox: SandboxOfRequest) -> dict[str, float]:
    """Make the token endpoint refuse all requests for some time."""
    sandbox.throttled_until = sandbox.clock.now() + body.seconds
    return {"until": sandbox.throttled_until}


@router.post("/grants")
async def new_grant(sandbox: SandboxOfRequest) -> dict[str, str]:
    """Create a grant code, as the API console does."""
    return {"code": oauth.new_grant(sandbox)}


@router.post("/refresh_token/revoke")
async def revoke_refresh_token(sandbox: SandboxOfRequest) -> dict[str, int]:
    """Revoke every refresh token and its access tokens."""
    sandbox.store.execute("DELETE FROM access_token")
    return {"revoked": sandbox.store.execute("DELETE FROM refresh_token").rowcount}


@router.post("/records/{module}")
async def add_records(module: str, body: NewRecords, sandbox: SandboxOfRequest) -> dict[str, list[str]]:
    """Add the given records, or a number of made-up ones."""
    if module not in seed.MODULES:
        raise HTTPException(404, f"unknown module {module!r}; use one of {', '.join(seed.MODULES)}")
    now = sandbox.clock.now()
    # New ids continue after the seeded ones, which end at 5000000000000000999.
    next_id = max(
        5000000000000001000,
        1 + sandbox.store.value("SELECT max(CAST(id AS INTEGER)) FROM record WHERE length(id) = 19"),
    )
    given = [*body.records, *({} for _ in range(body.count))]
    records = []
    for offset, fields in enumerate(given):
        record_id = str(fields.get("id", next_id + offset))
        fields = fields or seed.made_up(module, record_id)
        records.append(seed.complete(module, {**fields, "id": record_id}, iso(now)))
    seed.insert_records(sandbox.store, module, records, now)
    return {"ids": [record["id"] for record in records]}
