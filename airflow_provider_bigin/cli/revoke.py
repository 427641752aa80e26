"""``revoke``: revoke the refresh token of a connection."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_bigin.api.access_token import SharedToken
from airflow_provider_bigin.api.client import DEFAULT_TIMEOUT, new_session
from airflow_provider_bigin.api.errors import BiginError
from airflow_provider_bigin.api.oauth import Credentials
from airflow_provider_bigin.cli.confirmation import is_confirmed
from airflow_provider_bigin.cli.connections import get_hook
from airflow_provider_bigin.hooks.token_cache import configured_token_cache


def revoke(options: Namespace) -> None:
    """Revoke the refresh token of a connection; the connection is kept, but no longer works."""
    try:
        settings = get_hook(options.conn_id).settings
    except Exception as error:  # there is no such connection, or it is not valid
        raise SystemExit(str(error)) from None
    if settings.credentials is None:
        raise SystemExit(f"Connection {options.conn_id!r} has no refresh token.")
    if not (options.yes or _confirmed(options.conn_id)):
        raise SystemExit("Nothing was revoked.")
    outcome = end_refresh_token(settings.credentials, timeout=settings.timeout)
    print(
        f"The refresh token of connection {options.conn_id!r} {outcome}. The connection is still in Airflow."
    )


def end_refresh_token(credentials: Credentials, *, timeout: float = DEFAULT_TIMEOUT) -> str:
    """
    Revoke a refresh token, and remove what was made from it from the token cache.

    :return: what happened to the token, as the end of a sentence.
    :raises SystemExit: if that is not known.
    """
    try:
        with new_session() as session:
            tokens = SharedToken(credentials, configured_token_cache(), session=session, timeout=timeout)
            ended = tokens.revoke()
    except BiginError as error:
        raise SystemExit(str(error)) from None
    return "was revoked" if ended else "was already revoked, or is not known in this data center"


def _confirmed(conn_id: str) -> bool:
    print(f"All tasks that use the refresh token of connection {conn_id!r} will fail until it has a new one.")
    return is_confirmed("Revoke it?")
