"""``revoke``: the end of a refresh token."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_bigin.api.client import new_session
from airflow_provider_bigin.api.errors import BiginError
from airflow_provider_bigin.api.oauth import revoke_token
from airflow_provider_bigin.cli.confirmation import is_confirmed
from airflow_provider_bigin.cli.connections import get_hook


def revoke(options: Namespace) -> None:
    """End the refresh token of a connection; the connection stays, without use."""
    try:
        settings = get_hook(options.conn_id).settings
    except Exception as error:  # there is no such connection, or it makes no sense
        raise SystemExit(str(error)) from None
    if settings.credentials is None:
        raise SystemExit(f"Connection {options.conn_id!r} has no refresh token.")
    if not (options.yes or _confirmed(options.conn_id)):
        raise SystemExit("Nothing was revoked.")
    try:
        with new_session() as session:
            revoke_token(
                session,
                accounts_server=settings.credentials.accounts_server,
                token=settings.credentials.refresh_token,
                timeout=settings.timeout,
            )
    except BiginError as error:
        raise SystemExit(str(error)) from None
    print(
        f"The refresh token of connection {options.conn_id!r} is revoked. The connection is still in Airflow."
    )


def _confirmed(conn_id: str) -> bool:
    print(f"All tasks that use the refresh token of connection {conn_id!r} will fail until it has a new one.")
    return is_confirmed("Revoke it?")
