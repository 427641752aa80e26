"""The account itself: its users, its organization, and the addresses it may send from."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from airflow_provider_bigin.sandbox import seed
from airflow_provider_bigin.sandbox.answers import ApiError, BiginResponse, no_content
from airflow_provider_bigin.sandbox.auth import authorize
from airflow_provider_bigin.sandbox.state import SandboxOfRequest

router = APIRouter(prefix="/bigin/v2")

USER_TYPES = ("AllUsers", "ActiveUsers", "AdminUsers", "CurrentUser")


@router.get("/users")
async def users(request: Request, sandbox: SandboxOfRequest) -> Response:
    """Return the only user, who is also the current one."""
    authorize(request, sandbox, "ZohoBigin.users.READ")
    if request.query_params.get("type", "AllUsers") not in USER_TYPES:
        raise ApiError(400, "INVALID_DATA", "invalid data", {"param_name": "type"})
    return BiginResponse({"users": [seed.USER]})


@router.get("/org")
async def org(request: Request, sandbox: SandboxOfRequest) -> Response:
    """Return the organization."""
    authorize(request, sandbox, "ZohoBigin.org.READ")
    return BiginResponse({"org": [seed.ORG]})


@router.get("/settings/emails/actions/from_addresses")
async def from_addresses(request: Request, sandbox: SandboxOfRequest) -> Response:
    """Return the addresses that mail may be sent from."""
    authorize(request, sandbox, "ZohoBigin.settings.emails.READ")
    addresses = sandbox.settings.from_addresses
    if not addresses:
        return no_content()
    return BiginResponse({sandbox.settings.from_addresses_key: addresses})
