"""Read, write and show Airflow connections for the commands."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.api.oauth import Credentials
from airflow_provider_bigin.get_provider_info import CONNECTION_FIELDS

if TYPE_CHECKING:
    from airflow_provider_bigin.hooks.bigin import BiginHook

#: Fields of the extra that say where and with what the connection logs in.
CREDENTIAL_FIELDS = ("region", "refresh_token", "access_token", "accounts_server", "api_domain")
#: Stored with a new connection, because the form of Airflow 3.3 shows only the fields that are stored.
EMPTY_FIELDS = {name: "" for name in CONNECTION_FIELDS if name not in CREDENTIAL_FIELDS}


def get_hook(conn_id: str) -> BiginHook:
    """Return the hook of a connection, wherever Airflow stores it."""
    # Without this, Airflow 3 looks for connections as a task does, and a command has no API to ask for them.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    from airflow_provider_bigin.hooks.bigin import BiginHook

    return BiginHook(conn_id)


def refuse_unless_free(conn_id: str, *, overwrite: bool) -> None:
    """
    Check that a connection can be saved under an id.

    :raises SystemExit: if it cannot.
    """
    from airflow.utils.session import create_session

    if not re.fullmatch(r"[\w.-]{1,200}", conn_id):
        raise SystemExit(
            f"{conn_id!r} is not a valid connection id: use letters, digits, dashes, dots and underscores."
        )
    with create_session() as session:
        existing = _find(session, conn_id)
        if existing and existing.conn_type != "bigin":
            raise SystemExit(f"Connection {conn_id!r} exists and is of type {existing.conn_type!r}.")
        if existing and not overwrite:
            raise SystemExit(f"Connection {conn_id!r} exists; use --overwrite to give it new credentials.")


def save(conn_id: str, connection: dict[str, Any]) -> Credentials | None:
    """
    Add a connection to Airflow's database, or give an existing one its credentials.

    :return: the credentials that were replaced, if they had a refresh token.
    """
    from airflow.models import Connection
    from airflow.utils.session import create_session

    with create_session() as session:
        existing = _find(session, conn_id)
        if existing is None:
            extra = {**EMPTY_FIELDS, **connection["extra"]}
            session.add(Connection(conn_id=conn_id, **{**connection, "extra": extra}))
            return None
        replaced = _credentials(existing)
        kept = {name: value for name, value in existing.extra_dejson.items() if name not in CREDENTIAL_FIELDS}
        existing.login = connection["login"]
        existing.set_password(connection["password"])
        existing.port = existing.port or connection["port"]
        existing.set_extra(json.dumps({**EMPTY_FIELDS, **kept, **connection["extra"]}))
        return replaced


def show(conn_id: str, connection: dict[str, Any]) -> None:
    """Print a connection in the formats that Airflow reads."""
    print(
        "\nAs JSON. Paste it into a new file with an editor, run `airflow connections import FILE.json` and"
        " delete the file.\n(The arguments of `airflow connections add` are visible in the process list, and"
        " Airflow's audit log records the extra.)\n"
    )
    print(json.dumps({conn_id: connection}, indent=2))
    print("\nAs a line for Airflow's environment file. (In a shell, it would stay in the history.)\n")
    print(f"AIRFLOW_CONN_{conn_id.upper()}={shlex.quote(json.dumps(connection))}")


def _credentials(connection: Any) -> Credentials | None:
    from airflow_provider_bigin.hooks.connection import read_connection

    try:
        return read_connection(connection).credentials
    except BiginConfigurationError:
        return None  # they were not usable anyway


def _find(session: Any, conn_id: str) -> Any:
    from airflow.models import Connection
    from sqlalchemy import select

    return session.scalar(select(Connection).where(Connection.conn_id == conn_id))
