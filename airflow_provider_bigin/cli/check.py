"""``check``: test whether a connection works, and what it may do."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any, Literal

from airflow_provider_bigin.api.client import BiginClient
from airflow_provider_bigin.api.errors import (
    BiginAuthenticationError,
    BiginConnectionError,
    BiginError,
    BiginRateLimitError,
    BiginScopeError,
    BiginServerError,
)
from airflow_provider_bigin.api.oauth import SCOPES
from airflow_provider_bigin.cli.connections import get_hook

Verdict = Literal["granted", "missing", "unknown"]

#: For each scope, a call that needs it and cannot change anything. The two POST requests have nothing to
#: send: Bigin checks the scope first, then refuses the call for what it lacks.
PROBES: Mapping[str, Callable[[BiginClient], Any]] = {
    "ZohoBigin.send_mail.all.CREATE": lambda bigin: bigin.run(
        "POST", "Contacts/0/actions/send_mail", json={"data": []}
    ),
    "ZohoBigin.settings.emails.READ": lambda bigin: bigin.get_from_addresses(),
    "ZohoBigin.Files.CREATE": lambda bigin: bigin.run("POST", "files"),
    "ZohoBigin.modules.READ": lambda bigin: bigin.run(
        "GET", "Contacts", params={"fields": "id", "per_page": 1}
    ),
    "ZohoSearch.securesearch.READ": lambda bigin: bigin.run(
        "GET", "Contacts/search", params={"word": "probe", "per_page": 1}
    ),
    "ZohoBigin.users.READ": lambda bigin: bigin.get_current_user(),
    "ZohoBigin.org.READ": lambda bigin: bigin.get_organization(),
}


def check(options: Namespace) -> None:
    """Print which scopes a connection has; the exit code is 0 if it works and none is missing."""
    hook = get_hook(options.conn_id)
    try:
        scopes = find_scopes(hook.get_conn())
    except BiginError:
        raise SystemExit(hook.test_connection()[1]) from None
    except Exception as error:  # Airflow's, such as for a connection that does not exist
        raise SystemExit(str(error)) from None
    works, text = hook.test_connection()
    print(text)
    show_scopes(scopes)
    sys.exit(0 if works and "missing" not in scopes.values() else 1)


def find_scopes(bigin: BiginClient) -> dict[str, Verdict]:
    """
    Return for each scope whether the access token has it.

    :raises BiginError: if Bigin refuses the token, throttles or cannot be reached.
    """
    scopes = {scope: _verdict(PROBES[scope], bigin) for scope in SCOPES}
    if scopes["ZohoBigin.modules.READ"] == "missing" == scopes["ZohoSearch.securesearch.READ"]:
        scopes["ZohoSearch.securesearch.READ"] = "unknown"  # a search needs both
    return scopes


def show_scopes(scopes: Mapping[str, Verdict]) -> None:
    """Print a line for each scope, and what to do if one is missing."""
    for scope, verdict in scopes.items():
        print(f"{verdict:8} {scope}")
    if "missing" in scopes.values():
        print("A token's scopes never change: authorize again to get a refresh token that has them all.")


def _verdict(probe: Callable[[BiginClient], Any], bigin: BiginClient) -> Verdict:
    try:
        probe(bigin)
    except BiginScopeError:
        return "missing"
    except (BiginAuthenticationError, BiginConnectionError, BiginRateLimitError):
        raise
    except BiginServerError:
        return "unknown"
    except BiginError as error:
        # An unknown path is refused before the scope is checked, everything else afterward.
        return "unknown" if error.code == "INVALID_URL_PATTERN" else "granted"
    return "granted"
