"""``authorize``: make a connection from the grant code of a self client."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from dataclasses import dataclass, field
from getpass import getpass

from airflow_provider_bigin.api.access_token import FixedToken
from airflow_provider_bigin.api.client import DEFAULT_TIMEOUT, BiginClient, new_session
from airflow_provider_bigin.api.data_centers import (
    DATA_CENTERS,
    DEFAULT_REGION,
    DataCenter,
    checked_accounts_server,
    checked_api_domain,
    get_data_center,
    parse_region,
)
from airflow_provider_bigin.api.errors import BiginAuthenticationError, BiginError
from airflow_provider_bigin.api.oauth import SCOPES, Credentials, Grant, exchange_grant_code
from airflow_provider_bigin.cli.check import find_scopes, show_scopes
from airflow_provider_bigin.cli.confirmation import is_confirmed
from airflow_provider_bigin.cli.connections import refuse_unless_free, save, show
from airflow_provider_bigin.cli.revoke import end_refresh_token
from airflow_provider_bigin.hooks.connection import configured_sandbox_hosts

#: Environment variable with the URL of a sandbox, to try the command.
SANDBOX_VARIABLE = "BIGIN_SANDBOX"
#: Nothing uses it, but the Test button of Airflow 3.3.2 answers "Bad Request" if a connection has no port.
TEST_BUTTON_PORT = 443


@dataclass(frozen=True)
class SelfClient:
    """A self client, as its owner knows it."""

    region: str
    client_id: str
    client_secret: str = field(repr=False)
    sandbox: str | None

    @property
    def center(self) -> DataCenter:
        """The servers to use."""
        if self.sandbox:
            trusted = configured_sandbox_hosts()
            return DataCenter(
                checked_accounts_server(self.sandbox, trusted), checked_api_domain(self.sandbox, trusted)
            )
        return get_data_center(self.region)


def authorize(options: Namespace) -> None:
    """Ask for a self client and a grant code, and print or save the resulting connection."""
    if options.save:
        # Checked before the code is used up.
        refuse_unless_free(options.conn_id, overwrite=options.overwrite)
    try:
        client = _ask_for_client()
        grant = _exchange(client, _ask_for_code())
    except BiginError as error:
        raise SystemExit(str(error)) from None
    connection = _connection(client, grant)
    works = _show_whether_it_works(client, grant)
    if not options.save:
        show(options.conn_id, connection)
    elif works or is_confirmed("Save the connection anyway?"):
        _save(options.conn_id, connection)
    else:
        # Nobody has it, but it counts toward the twenty that Zoho allows a user.
        print(f"\nNothing was saved. The new refresh token {end_refresh_token(_credentials(client, grant))}.")
    sys.exit(0 if works else 1)


def _save(conn_id: str, connection: dict[str, object]) -> None:
    replaced = save(conn_id, connection)
    print(f"\nConnection {conn_id!r} was saved.")
    if replaced is None:
        return
    print("Its old refresh token is still valid. Anything else that uses it will fail once it is revoked.")
    if is_confirmed("Revoke the old refresh token?"):
        print(f"The old refresh token {end_refresh_token(replaced)}.")


def _ask_for_client() -> SelfClient:
    print(
        "Open https://api-console.zoho.com as the user that the mails should come from, and create or open"
        " your Self Client."
    )
    question = f"Region ({', '.join(DATA_CENTERS)}) [{DEFAULT_REGION}]: "
    return SelfClient(
        # An unknown region is an error before the secrets are asked for.
        region=parse_region(_answer("BIGIN_REGION", question, DEFAULT_REGION)),
        client_id=_answer("BIGIN_CLIENT_ID", "Client ID: "),
        client_secret=_answer("BIGIN_CLIENT_SECRET", "Client Secret (not shown): ", hidden=True),
        sandbox=os.environ.get(SANDBOX_VARIABLE),
    )


def _ask_for_code() -> str:
    print("\nUnder Generate Code, paste this as Scope and choose 10 minutes and your Bigin organization:")
    print(f"\n{','.join(SCOPES)}\n")
    print(
        "(If the console does not accept ZohoBigin.modules.READ, ZohoBigin.modules.ALL works too, but a"
        " token with it can also change and delete every record.)\n"
    )
    return _answer("BIGIN_GRANT_CODE", "Generated code (not shown): ", hidden=True)


def _answer(variable: str, question: str, default: str = "", *, hidden: bool = False) -> str:
    """
    Get an answer from the environment, or ask for it.

    :raises SystemExit: if there is none.
    """
    answer = os.environ.get(variable)
    if answer is None:
        try:
            answer = getpass(question) if hidden else input(question)
        except EOFError:
            answer = ""
    answer = answer.strip() or default
    if not answer:
        raise SystemExit(f"An answer is required; you can also set {variable} in the environment.")
    return answer


def _exchange(client: SelfClient, code: str) -> Grant:
    with new_session() as session:
        return exchange_grant_code(
            session,
            accounts_server=client.center.accounts_server,
            client_id=client.client_id,
            client_secret=client.client_secret,
            code=code,
            now=time.time(),
            timeout=DEFAULT_TIMEOUT,
        )


def _credentials(client: SelfClient, grant: Grant) -> Credentials:
    return Credentials(
        client.center.accounts_server, client.client_id, client.client_secret, grant.refresh_token
    )


def _connection(client: SelfClient, grant: Grant) -> dict[str, object]:
    extra = {"region": client.region, "refresh_token": grant.refresh_token}
    if client.sandbox:
        extra.update(client.center._asdict())
    return {
        "conn_type": "bigin",
        "login": client.client_id,
        "password": client.client_secret,
        "port": TEST_BUTTON_PORT,
        "extra": extra,
    }


def _show_whether_it_works(client: SelfClient, grant: Grant) -> bool:
    """Test the access token that came with the refresh token, as Zoho issues only ten in ten minutes."""
    api_domain = grant.access_token.api_domain or client.center.api_domain
    bigin = BiginClient(FixedToken(grant.access_token.value), session=new_session(), api_domain=api_domain)
    try:
        scopes = find_scopes(bigin)
    except BiginAuthenticationError:
        print(f"\n{api_domain} refuses the new access token: the account is in another region.")
        return False
    except BiginError as error:
        print(f"\nThe code was exchanged, but Bigin cannot be used: {error}")
        return False
    finally:
        bigin.close()
    print("\nBigin accepts the new access token.")
    show_scopes(scopes)
    return True
