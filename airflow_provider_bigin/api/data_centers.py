"""
Zoho's data centers, and the only hosts that may ever see a token.

Bigin runs in eight data centers, each with an accounts server (OAuth) and an API domain. They are a table
because they follow no rule: Canada's accounts server is under ``zohocloud.ca``, its API domain under
``zohoapis.ca``.

See https://www.bigin.com/developer/docs/apis/multi-dc.html
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from airflow_provider_bigin.api.errors import BiginConfigurationError


class DataCenter(NamedTuple):
    """The two hosts of one region."""

    accounts_server: str
    api_domain: str


#: By the domain of Bigin's pages. A connection's region is such a domain: Airflow warns in each task about
#: values in an extra that are too short to be masked.
DATA_CENTERS = {
    "zoho.com": DataCenter("https://accounts.zoho.com", "https://www.zohoapis.com"),
    "zoho.eu": DataCenter("https://accounts.zoho.eu", "https://www.zohoapis.eu"),
    "zoho.com.au": DataCenter("https://accounts.zoho.com.au", "https://www.zohoapis.com.au"),
    "zoho.in": DataCenter("https://accounts.zoho.in", "https://www.zohoapis.in"),
    "zoho.com.cn": DataCenter("https://accounts.zoho.com.cn", "https://www.zohoapis.com.cn"),
    "zoho.jp": DataCenter("https://accounts.zoho.jp", "https://www.zohoapis.jp"),
    "zoho.sa": DataCenter("https://accounts.zoho.sa", "https://www.zohoapis.sa"),
    "zohocloud.ca": DataCenter("https://accounts.zohocloud.ca", "https://www.zohoapis.ca"),
}
DEFAULT_REGION = "zoho.com"
#: The ways people write a domain: ``us``, ``au``, ``com.au``, ``bigin.zoho.com.au``.
_DOMAINS = {"us": "zoho.com"} | {
    name: domain
    for domain in DATA_CENTERS
    for name in (domain, f"bigin.{domain}", domain.partition(".")[2], domain.rpartition(".")[2])
}

_ACCOUNTS_SERVERS = frozenset(center.accounts_server for center in DATA_CENTERS.values())
_API_DOMAINS = frozenset(center.api_domain for center in DATA_CENTERS.values())

#: Only what every library reads the same way: urllib and urllib3 disagree on the host of stranger URLs.
_ORIGIN = re.compile(
    r"""
    (?P<origin>
        https?://
        (?:
            (?P<loopback> localhost
              | 127 (?: \. (?: 25[0-5] | 2[0-4][0-9] | 1[0-9][0-9] | [1-9]?[0-9] ) ){3}
              | \[::1] )
          | [a-z0-9._-]+ | \[ [0-9a-f:]+ \]
        )
        (?: : (?: 6553[0-5] | 655[0-2][0-9] | 65[0-4][0-9]{2} | 6[0-4][0-9]{3}
                | [1-5][0-9]{4} | [1-9][0-9]{0,3} ) )?
    )
    (?: / | \Z )
    """,
    re.VERBOSE,
)


def parse_region(region: str) -> str:
    """
    Return the name of a region in :data:`DATA_CENTERS`.

    :param region: such as ``zoho.eu``, ``eu`` or ``bigin.zoho.eu``; upper case is accepted.
    :raises BiginConfigurationError: if Bigin has no such region.
    """
    try:
        return _DOMAINS[region.strip().lower()]
    except KeyError:
        raise BiginConfigurationError(
            f"unknown region {region!r}: use one of {', '.join(DATA_CENTERS)}"
            " (it is in the address bar when you are logged in to Bigin)"
        ) from None


def get_data_center(region: str) -> DataCenter:
    """Look up a region by any of the names that :func:`parse_region` knows."""
    return DATA_CENTERS[parse_region(region)]


def checked_accounts_server(url: str, sandbox_hosts: Collection[str] = ()) -> str:
    """
    Return the origin of an accounts server that may see a secret.

    :param url: the origin of an accounts server in the table, of a server on this machine, or of a sandbox.
    :param sandbox_hosts: origins of sandboxes on other machines.
    :raises BiginConfigurationError: if it is anything else.
    """
    return _checked_origin(url, "accounts_server", _ACCOUNTS_SERVERS, sandbox_hosts)


def checked_api_domain(url: str, sandbox_hosts: Collection[str] = ()) -> str:
    """Return the origin of an API domain that may see a token; see :func:`checked_accounts_server`."""
    return _checked_origin(url, "api_domain", _API_DOMAINS, sandbox_hosts)


def parse_origin(url: str) -> str | None:
    """Return scheme, host and port of a URL that has nothing else; None for any other."""
    match = _ORIGIN.fullmatch(url)
    return match["origin"] if match else None


def is_loopback(url: str) -> bool:
    """Return whether a URL, whose origin has already been checked, is on this machine."""
    match = _ORIGIN.match(url)
    return bool(match and match["loopback"])


def _checked_origin(url: str, field: str, table: Collection[str], sandbox_hosts: Collection[str]) -> str:
    origin = parse_origin(url)
    if origin and (is_loopback(origin) or origin in table or origin in sandbox_hosts):
        return origin
    raise BiginConfigurationError(
        f"{field} {url!r} is not trusted with a token: it must be one of {', '.join(sorted(table))},"
        " a server on this machine such as http://127.0.0.1:8480, or an origin listed under [bigin]"
        " sandbox_hosts in the Airflow configuration"
    )
