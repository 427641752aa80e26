"""Read an Airflow connection of type ``bigin``: check it, fill in defaults, or refuse it with a reason."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.client import DEFAULT_TIMEOUT
from airflow_provider_bigin.api.data_centers import (
    DATA_CENTERS,
    DEFAULT_REGION,
    checked_accounts_server,
    checked_api_domain,
    parse_origin,
    parse_region,
)
from airflow_provider_bigin.api.errors import BiginConfigurationError, BiginValidationError
from airflow_provider_bigin.api.mail import Address, parse_address
from airflow_provider_bigin.api.oauth import Credentials, is_token
from airflow_provider_bigin.api.records import RecordRef, read_record
from airflow_provider_bigin.version_compat import mask_secret

if TYPE_CHECKING:
    from airflow.sdk import Connection

#: Keys of the extra.
SECRETS = frozenset({"refresh_token", "access_token"})
#: Stand for a stored secret in Airflow's form. Before 3.1, the Test button gets these, and not the secret.
PLACEHOLDERS = frozenset({"RATHER_LONG_SENSITIVE_FIELD_PLACEHOLDER", "***"})


@dataclass(frozen=True)
class ConnectionSettings:
    """
    The validated content of a connection.

    Either ``credentials`` or ``access_token`` is set. ``api_domain_pinned`` means that the connection itself
    sets the API domain. ``unused_host`` is the connection's host, which is ignored.
    """

    api_domain: str
    api_domain_pinned: bool
    timeout: float
    credentials: Credentials | None = None
    access_token: str | None = field(default=None, repr=False)
    from_email: Address | None = None
    redirect_to: Address | None = None
    default_record: RecordRef | None = None
    region: str = DEFAULT_REGION
    unused_host: str = ""


def read_connection(connection: Connection) -> ConnectionSettings:
    """
    Read and check a connection, without making any request.

    :raises BiginConfigurationError: naming the connection, the field and what would be valid.
    """
    if connection.conn_type != "bigin":
        raise BiginConfigurationError(
            f"connection {connection.conn_id!r} is of type {connection.conn_type}; it must be of type bigin"
        )
    try:
        extra = _read_extra(connection)
        region = parse_region(extra.get("region") or DEFAULT_REGION)
        center = DATA_CENTERS[region]
        access_token = extra.get("access_token") or None
        if access_token:
            _check_tokens({"Access token (extra access_token)": access_token})
        sandbox_hosts = configured_sandbox_hosts()
        accounts_server = checked_accounts_server(
            extra.get("accounts_server") or center.accounts_server, sandbox_hosts
        )
        return ConnectionSettings(
            api_domain=checked_api_domain(extra.get("api_domain") or center.api_domain, sandbox_hosts),
            api_domain_pinned=bool(extra.get("api_domain")),
            timeout=_timeout(extra.get("timeout")),
            credentials=None
            if access_token
            else _credentials(connection, extra, accounts_server, sandbox_hosts),
            access_token=access_token,
            from_email=parse_address(extra.get("from_email"), "from_email"),
            redirect_to=parse_address(extra.get("redirect_to"), "redirect_to"),
            default_record=_default_record(extra),
            region=region,
            unused_host=_text(connection.host),
        )
    except (BiginConfigurationError, BiginValidationError) as error:
        raise BiginConfigurationError(f"connection {connection.conn_id!r}: {error}") from None


def configured_sandbox_hosts() -> frozenset[str]:
    """
    Return the origins listed in ``[bigin] sandbox_hosts``.

    :raises BiginConfigurationError: if one of them is not an origin.
    """
    from airflow.configuration import conf

    names = map(str.strip, conf.get("bigin", "sandbox_hosts", fallback="").split(","))
    return frozenset(_sandbox_origin(name) for name in names if name)


def _sandbox_origin(name: str) -> str:
    origin = parse_origin(name)
    if origin is None:
        raise BiginConfigurationError(
            f"[bigin] sandbox_hosts in the Airflow configuration: {name!r} is not an origin such as"
            " http://sandbox.internal:8480; separate several with commas"
        )
    return origin


def _credentials(
    connection: Connection, extra: dict[str, str], accounts_server: str, sandbox_hosts: frozenset[str]
) -> Credentials:
    given = {
        "Client ID (login)": _text(connection.login),
        "Client secret (password)": _text(connection.password),
        "Refresh token (extra refresh_token)": extra.get("refresh_token", ""),
    }
    missing = [name for name, value in given.items() if not value]
    if missing:
        raise BiginConfigurationError(
            f"{' and '.join(missing)} missing; fill in all three, or only an access token (extra"
            " access_token)"
        )
    _check_tokens(given)
    return Credentials(accounts_server, *given.values(), sandbox_hosts=sandbox_hosts)


def _read_extra(connection: Connection) -> dict[str, str]:
    """
    Read the extra, and mask its secrets.

    ``extra_dejson`` would mask all values, so that Airflow 3 warns that a timeout is too short for that.
    """
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        extra = None
    if not isinstance(extra, dict):
        raise BiginConfigurationError("the extra is not a JSON object")
    texts = {name: _text(value) for name, value in extra.items()}
    for name in SECRETS & texts.keys():
        if texts[name] in PLACEHOLDERS:
            raise BiginConfigurationError(
                "this version of Airflow does not pass stored secrets to the Test button. Enter the client"
                " secret and the tokens again to test them, or run `python -m airflow_provider_bigin check`"
            )
        mask_secret(texts[name])
    return texts


def _check_tokens(given: dict[str, str]) -> None:
    wrong = [name for name, value in given.items() if not is_token(value)]
    if wrong:
        raise BiginConfigurationError(
            f"{' and '.join(wrong)} cannot be right: Zoho's never contain spaces, line breaks or non-ASCII"
            " letters; copy it again"
        )


def _timeout(value: str | None) -> float:
    if not value:
        return DEFAULT_TIMEOUT
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 3600:
        raise BiginConfigurationError(
            f"timeout {value!r} is not a valid number of seconds between 0 and 3600"
        )
    return seconds


def _default_record(extra: dict[str, str]) -> RecordRef | None:
    if not extra.get("record_id"):
        return None
    return read_record(extra.get("module") or "Contacts", extra["record_id"])


def _text(value: Any) -> str:
    """Return a value as text: connections from URIs, JSON and forms use None, '' and numbers alike."""
    return "" if value is None else str(value).strip()
