"""Zoho's accounts server: the token endpoint with its limits, and revocation."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_bigin.sandbox import seed
from airflow_provider_bigin.sandbox.answers import JSON_TYPE, BiginResponse
from airflow_provider_bigin.sandbox.faults import throttled
from airflow_provider_bigin.sandbox.state import Sandbox, SandboxOfRequest

router = APIRouter(prefix="/oauth/v2/token")

LIFETIME = 3600
WINDOW = 600
TOKENS_PER_WINDOW = 10
ACTIVE_TOKENS = 15
GRANTS_PER_WINDOW = 10
GRANT_LIFETIME = 600
REFRESH_TOKENS = 20


@router.post("")
async def token(request: Request, sandbox: SandboxOfRequest) -> Response:
    """Issue an access token for a refresh token or a grant code; most errors are a 200 with ``error``."""
    if sandbox.clock.now() < sandbox.throttled_until:
        return _throttled(sandbox)
    values = await _parameters(request)
    if values.get("client_id") != seed.CLIENT_ID:
        return _refusal("invalid_client")
    if values.get("client_secret") != sandbox.credentials["client_secret"]:
        return _refusal("invalid_client_secret")
    if values.get("grant_type") == "refresh_token":
        return _refresh(sandbox, own_url(request), values.get("refresh_token"))
    if values.get("grant_type") == "authorization_code":
        return _exchange(sandbox, own_url(request), values.get("code"))
    return _refusal("unsupported_grant_type")


@router.get("")
async def token_by_get() -> Response:
    """Refuse the call, because the endpoint accepts only POST."""
    return Response("<html><body>server error</body></html>", 500, media_type="text/html")


@router.post("/revoke")
async def revoke(request: Request, sandbox: SandboxOfRequest) -> Response:
    """Revoke a refresh token together with its access tokens, or a single access token."""
    token = (await _parameters(request)).get("token")
    ended = sandbox.store.execute("DELETE FROM refresh_token WHERE token = ?", token).rowcount
    ended += sandbox.store.execute(
        "DELETE FROM access_token WHERE ? IN (token, refresh_token)", token
    ).rowcount
    return BiginResponse({"status": "success"}) if ended else _refusal("invalid_token")


def new_grant(sandbox: Sandbox) -> str:
    """Return a grant code, as the API console would generate it."""
    code = seed.new_token()
    now = sandbox.clock.now()
    sandbox.store.execute("INSERT INTO grant_code VALUES (?, ?, ?)", code, now, now + GRANT_LIFETIME)
    return code


def _refresh(sandbox: Sandbox, own_url: str, refresh_token: str | None) -> Response:
    if not sandbox.store.value("SELECT count(*) FROM refresh_token WHERE token = ?", refresh_token):
        return _refusal("invalid_code")
    assert refresh_token is not None
    access_token = _mint(sandbox, refresh_token)
    return _throttled(sandbox) if access_token is None else _grant(sandbox, own_url, access_token)


def _exchange(sandbox: Sandbox, own_url: str, code: str | None) -> Response:
    now = sandbox.clock.now()
    if sandbox.settings.token_limits and _grants_in_window(sandbox, now) > GRANTS_PER_WINDOW:
        return _refusal("access_denied")
    used = sandbox.store.execute(
        "UPDATE grant_code SET expires_at = 0 WHERE code = ? AND expires_at > ?",
        code,
        now,
    )
    if not used.rowcount:
        return _refusal("invalid_code")
    refresh_token = seed.new_token()
    sandbox.store.execute("INSERT INTO refresh_token VALUES (?, ?)", refresh_token, now)
    _keep_newest_refresh_tokens(sandbox)
    access_token = _mint(sandbox, refresh_token)
    assert access_token is not None  # a new refresh token has used none of its limit
    return _grant(sandbox, own_url, access_token, refresh_token)


def _grants_in_window(sandbox: Sandbox, now: float) -> int:
    count: int = sandbox.store.value("SELECT count(*) FROM grant_code WHERE created_at > ?", now - WINDOW)
    return count


def _keep_newest_refresh_tokens(sandbox: Sandbox) -> None:
    sandbox.store.execute(
        "DELETE FROM refresh_token WHERE token NOT IN"
        " (SELECT token FROM refresh_token ORDER BY created_at DESC, rowid DESC LIMIT ?)",
        REFRESH_TOKENS,
    )
    sandbox.store.execute(
        "DELETE FROM access_token WHERE refresh_token NOT IN (SELECT token FROM refresh_token)"
    )


def _mint(sandbox: Sandbox, refresh_token: str) -> str | None:
    """Return a new access token, or None after too many in ten minutes; the sixteenth evicts the oldest."""
    store, now = sandbox.store, sandbox.clock.now()
    if sandbox.settings.token_limits:
        recent = store.value(
            "SELECT count(*) FROM token_request WHERE refresh_token = ? AND at > ?",
            refresh_token,
            now - WINDOW,
        )
        refused = recent >= TOKENS_PER_WINDOW
        if not refused or sandbox.settings.throttle_needs_silence:
            store.execute("INSERT INTO token_request VALUES (?, ?)", refresh_token, now)
        if refused:
            return None
    access_token = seed.new_token()
    store.execute("DELETE FROM access_token WHERE expires_at <= ?", now)
    store.execute("INSERT INTO access_token VALUES (?, ?, ?)", access_token, refresh_token, now + LIFETIME)
    if sandbox.settings.token_limits:
        store.execute(
            "DELETE FROM access_token WHERE refresh_token = :owner AND token NOT IN"
            " (SELECT token FROM access_token WHERE refresh_token = :owner ORDER BY rowid DESC LIMIT :kept)",
            owner=refresh_token,
            kept=ACTIVE_TOKENS,
        )
    return access_token


def _grant(sandbox: Sandbox, own_url: str, access_token: str, refresh_token: str | None = None) -> Response:
    settings = sandbox.settings
    answer: dict[str, Any] = {"access_token": access_token}
    if refresh_token is not None:
        answer["refresh_token"] = refresh_token
    if settings.token_answer_scope:
        answer["scope"] = " ".join(settings.scopes)
    answer |= {"api_domain": settings.token_api_domain or own_url, "token_type": "Bearer"}
    # The legacy format: with "expires_in_sec" present, "expires_in" is in milliseconds.
    if settings.expires_in_ms:
        answer |= {"expires_in_sec": LIFETIME, "expires_in": LIFETIME * 1000}
    else:
        answer["expires_in"] = LIFETIME
    return BiginResponse(answer)


def own_url(request: Request) -> str:
    """Return the base URL under which the client reaches the sandbox."""
    return str(request.base_url).rstrip("/")


async def _parameters(request: Request) -> dict[str, str]:
    """Return the parameters of the query and the form; a body of any other type is ignored."""
    async with request.form() as form:
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
    return {**request.query_params, **fields}


def _refusal(error: str) -> Response:
    return BiginResponse({"error": error})


def _throttled(sandbox: Sandbox) -> Response:
    answer = throttled(sandbox.settings)
    return Response(answer.body, answer.status, media_type=JSON_TYPE)
