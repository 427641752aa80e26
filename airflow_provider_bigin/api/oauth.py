"""
The part of Zoho's OAuth 2.0 that a self client needs: exchange a grant code, refresh an access token, revoke.

The accounts server reports most failures with HTTP 200 and an ``error`` key, understands only form bodies,
and localizes its throttling message, so responses are distinguished by their structure and not by status or
wording.

See https://www.bigin.com/developer/docs/apis/v2/oauth-overview.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard

from airflow_provider_bigin.api.answers import parse_json
from airflow_provider_bigin.api.data_centers import checked_api_domain
from airflow_provider_bigin.api.errors import (
    BiginAuthenticationError,
    BiginConfigurationError,
    BiginConnectionError,
    BiginServerError,
    BiginTokenLimitError,
)

if TYPE_CHECKING:
    import requests

#: What the package's calls need: send, list from-addresses, upload, read and search records and their
#: e-mails, test the connection, know when the daily limit resets.
SCOPES = (
    "ZohoBigin.send_mail.all.CREATE",
    "ZohoBigin.settings.emails.READ",
    "ZohoBigin.Files.CREATE",
    "ZohoBigin.modules.READ",
    "ZohoSearch.securesearch.READ",
    "ZohoBigin.users.READ",
    "ZohoBigin.org.READ",
)

#: Zoho's access tokens are valid for an hour. Some responses give ``expires_in`` in milliseconds, so anything
#: more is not trusted.
MAX_TOKEN_LIFETIME = 3600.0

_PERMANENT_ERRORS = {
    "invalid_code": "The refresh token (or grant code) is unknown, used, expired or revoked, or belongs to"
    " another data center: check the connection's region, or authorize again to get a new one",
    "invalid_client": "The client ID is not known in this data center: check the connection's region and"
    " Client ID, and that the client is a self client registered at https://api-console.zoho.com",
    "invalid_client_secret": "The client secret does not belong to the client ID; note that a client has a"
    " separate secret in each data center",
    "invalid_redirect_uri": "The client is not a self client; register one at https://api-console.zoho.com",
    "invalid_scope": "The requested scopes do not exist; copy them from the package's documentation",
    "missing_org_info": "Choose the Bigin organization when you generate the grant code",
}


@dataclass(frozen=True)
class Credentials:
    """
    What a self client authenticates with, and where.

    ``sandbox_hosts`` are the origins, besides Bigin's and this machine's, that may get its access tokens.
    """

    accounts_server: str
    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    sandbox_hosts: Collection[str] = field(default=(), kw_only=True)

    def digest(self) -> str:
        """Return a name for these credentials that does not reveal them; the same ones have the same name."""
        identity = "\n".join((self.accounts_server, self.client_id, self.refresh_token))
        return hashlib.sha256(identity.encode()).hexdigest()


@dataclass(frozen=True)
class AccessToken:
    """
    A token and how long it may be used.

    ``api_domain`` is the host that the accounts server named for it, if that host is trusted.

    :raises ValueError: if it cannot be a token, wherever it came from.
    """

    value: str = field(repr=False)
    expires_at: float
    api_domain: str | None = None

    def __post_init__(self) -> None:
        if not is_token(self.value) or not isinstance(self.expires_at, (int, float)):
            raise ValueError("not a valid access token")


@dataclass(frozen=True)
class Grant:
    """What a grant code is exchanged for."""

    access_token: AccessToken
    refresh_token: str = field(repr=False)
    scopes: tuple[str, ...] = ()


def is_token(value: Any) -> TypeGuard[str]:
    """
    Return whether a value can be a token, a client ID or its secret: visible ASCII.

    Anything else is not allowed in a header, and the error about it there would quote it.
    """
    return isinstance(value, str) and re.fullmatch(r"[!-~]{1,4096}", value) is not None


def refresh_access_token(
    session: requests.Session, credentials: Credentials, *, now: float, timeout: float
) -> AccessToken:
    """
    Ask for a new access token.

    :param now: the current time in epoch seconds, from which the token's lifetime is counted.
    :param timeout: seconds for the whole request.
    :raises BiginAuthenticationError: if the credentials are permanently refused.
    :raises BiginTokenLimitError: if the accounts server throttles.
    :raises BiginServerError: if its response is not usable.
    :raises BiginConnectionError: if it cannot be reached.
    """
    form = {
        "grant_type": "refresh_token",
        "client_id": credentials.client_id,
        "client_secret": credentials.client_secret,
        "refresh_token": credentials.refresh_token,
    }
    answer = _post_form(session, f"{credentials.accounts_server}/oauth/v2/token", form, timeout=timeout)
    return _access_token(answer, now, credentials.sandbox_hosts)


def exchange_grant_code(
    session: requests.Session,
    *,
    accounts_server: str,
    client_id: str,
    client_secret: str,
    code: str,
    now: float,
    timeout: float,
) -> Grant:
    """
    Exchange the one-time code of a self client for a refresh token.

    See https://www.bigin.com/developer/docs/apis/v2/self-client-get-access-token.html. Parameters and errors
    as in :func:`refresh_access_token`.
    """
    form = {
        "grant_type": "authorization_code",
        "client_id": client_id,
        "client_secret": client_secret,
        "code": code,
    }
    answer = _post_form(session, f"{accounts_server}/oauth/v2/token", form, timeout=timeout)
    refresh_token = answer.get("refresh_token")
    if not is_token(refresh_token):
        raise BiginAuthenticationError(
            "the accounts server did not issue a refresh token",
            hint="Generate the code for a self client; other client types get a refresh token only with"
            " access_type=offline",
        )
    scopes = answer.get("scope")
    return Grant(
        _access_token(answer, now), refresh_token, tuple(scopes.split()) if isinstance(scopes, str) else ()
    )


def revoke_token(session: requests.Session, *, accounts_server: str, token: str, timeout: float) -> bool:
    """
    Revoke a refresh token and all access tokens made from it.

    See https://www.bigin.com/developer/docs/apis/v2/revoke-tokens.html. Errors as in
    :func:`refresh_access_token`.

    :return: False if the accounts server does not know it, or no longer does.
    """
    try:
        _post_form(session, f"{accounts_server}/oauth/v2/token/revoke", {"token": token}, timeout=timeout)
    except BiginServerError as error:
        if error.code != "invalid_token":
            raise
        return False
    return True


def _post_form(
    session: requests.Session, url: str, form: Mapping[str, str], *, timeout: float
) -> Mapping[str, Any]:
    from requests.exceptions import RequestException

    from airflow_provider_bigin.api.deadline import AnswerTooLargeError

    try:
        response = session.post(url, data=form, auth=without_auth, timeout=timeout, allow_redirects=False)
    except AnswerTooLargeError as error:
        raise BiginServerError(str(error), request=f"POST {url}") from None
    except RequestException as error:
        # The exception's own text may quote the request; its class says enough.
        raise BiginConnectionError(
            f"no response from the accounts server ({type(error).__name__})",
            request=f"POST {url}",
            hint="Check the network, the proxy and the connection's region",
        ) from None
    try:
        body = parse_json(response.content)
    except ValueError:
        body = None
    return _checked_answer(f"POST {url}", response.status_code, body)


def _checked_answer(request: str, status: int, body: Any) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise BiginServerError(
            "the accounts server's response is not a JSON object", status=status, request=request
        )
    error = body.get("error")
    if isinstance(error, str) and error in _PERMANENT_ERRORS:
        raise BiginAuthenticationError(
            "the accounts server refuses the credentials",
            status=status,
            code=error,
            request=request,
            hint=_PERMANENT_ERRORS[error],
        )
    # The throttling message comes in the account's language, so any other refusal with a description is
    # treated as one.
    if error == "access_denied" or (
        error and (body.get("status") == "failure" or "error_description" in body)
    ):
        raise BiginTokenLimitError(
            "the accounts server is not issuing access tokens for now",
            status=status,
            request=request,
            hint="Zoho allows ten in ten minutes for each refresh token. Leave it alone for half an hour, and"
            " let all workers share one token (Airflow configuration [bigin] token_cache)",
        )
    if error or status >= 400:
        # Nothing else is quoted: it might repeat what was sent.
        code = error if isinstance(error, str) and re.fullmatch("[A-Za-z_]{1,40}", error) else None
        raise BiginServerError("the accounts server failed", status=status, code=code, request=request)
    return body


def _access_token(answer: Mapping[str, Any], now: float, sandbox_hosts: Collection[str] = ()) -> AccessToken:
    api_domain = trusted_api_domain(answer.get("api_domain"), sandbox_hosts)
    try:
        return AccessToken(answer["access_token"], now + _lifetime(answer), api_domain)
    except (KeyError, ValueError):
        raise BiginServerError("the accounts server's response has no access token") from None


def _lifetime(answer: Mapping[str, Any]) -> float:
    """
    Return a token's lifetime in seconds.

    ``expires_in`` is in milliseconds if ``expires_in_sec`` is also present (Zoho's SDK relies on that).
    """
    seconds = answer.get("expires_in_sec", answer.get("expires_in"))
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        return MAX_TOKEN_LIFETIME
    return min(float(seconds), MAX_TOKEN_LIFETIME)


def trusted_api_domain(value: Any, sandbox_hosts: Collection[str]) -> str | None:
    """Return the API domain that a token came with, or None if there is none or it is not trusted."""
    if not isinstance(value, str):
        return None
    try:
        return checked_api_domain(value, sandbox_hosts)
    except BiginConfigurationError:
        return None


def without_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Serve as the ``auth`` of a request that has none, so that requests takes none from ``~/.netrc``."""
    return request
