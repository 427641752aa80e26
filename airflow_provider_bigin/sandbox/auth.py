"""Authorization of API calls: the access token in a request's header and its scopes."""

from __future__ import annotations

from fastapi import Request

from airflow_provider_bigin.sandbox.answers import (
    authentication_failure,
    invalid_token,
    no_credits,
    scope_mismatch,
)
from airflow_provider_bigin.sandbox.state import Sandbox


def authorize(request: Request, sandbox: Sandbox, *scopes: str) -> None:
    """
    Check a request's token, its scopes, and the credits left, in this order.

    :param request: the request.
    :param sandbox: the account.
    :param scopes: what the token must cover.
    :raises ApiError: if Bigin would refuse the call.
    """
    request.state.token_expires_at = _expiry(request.headers.get("authorization"), sandbox)
    granted = {scope.lower() for scope in sandbox.settings.scopes}
    if not all(_sufficient(scope) & granted for scope in scopes):
        raise scope_mismatch()
    _take_credit(sandbox)


def _expiry(header: str | None, sandbox: Sandbox) -> float:
    if not header:
        raise authentication_failure()
    scheme, _, token = header.partition(" ")
    expires_at: float | None = sandbox.store.value(
        "SELECT expires_at FROM access_token WHERE token = ? AND expires_at > ?", token, sandbox.clock.now()
    )
    if scheme != "Zoho-oauthtoken" or expires_at is None:
        raise invalid_token()
    return expires_at


def _sufficient(scope: str) -> set[str]:
    """Return the scopes that cover this one: itself, and ``ALL`` in place of its last one or two parts."""
    service, group, *_ = parts = scope.lower().split(".")
    return {
        scope.lower(),
        ".".join([*parts[:-1], "all"]),
        f"{service}.{group}.all",
        f"{service}.{group}.{parts[-1]}",
    }


def _take_credit(sandbox: Sandbox) -> None:
    left = sandbox.settings.credits_remaining
    if left is None:
        return
    if left <= 0:
        raise no_credits()
    sandbox.settings.credits_remaining = left - 1
