"""
Zoho's data centres and the only hosts that may ever see a token.

Bigin lives in eight data centres, each with an accounts server (OAuth) and an API domain. They are a table
because they follow no rule: Canada's accounts server is under ``zohocloud.ca``, its API domain under
``zohoapis.ca``.

See https://www.bigin.com/developer/docs/apis/multi-dc.html
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple
from urllib.parse import urlsplit

from airflow_provider_bigin.api.errors import BiginConfigurationError


class DataCenter(NamedTuple):
    """The two hosts of one region."""

    accounts_server: str
    api_domain: str


DATA_CENTERS = {
    "us": DataCenter("https://accounts.zoho.com", "https://www.zohoapis.com"),
    "eu": DataCenter("https://accounts.zoho.eu", "https://www.zohoapis.eu"),
    "au": DataCenter("https://accounts.zoho.com.au", "https://www.zohoapis.com.au"),
    "in": DataCenter("https://accounts.zoho.in", "https://www.zohoapis.in"),
    "cn": DataCenter("https://accounts.zoho.com.cn", "https://www.zohoapis.com.cn"),
    "jp": DataCenter("https://accounts.zoho.jp", "https://www.zohoapis.jp"),
    "sa": DataCenter("https://accounts.zoho.sa", "https://www.zohoapis.sa"),
    "ca": DataCenter("https://accounts.zohocloud.ca", "https://www.zohoapis.ca"),
}
DEFAULT_REGION = "us"

_ACCOUNTS_SERVERS = frozenset(center.accounts_server for center in DATA_CENTERS.values())
_API_DOMAINS = frozenset(center.api_domain for center in DATA_CENTERS.values())


def get_data_center(region: str) -> DataCenter:
    """
    Look a region up.

    :param region: ``us``, ``eu``, ``au``, ``in``, ``cn``, ``jp``, ``sa`` or ``ca``; upper case is accepted.
    :raises BiginConfigurationError: if Bigin has no such region.
    """
    try:
        return DATA_CENTERS[region.strip().lower()]
    except KeyError:
        raise BiginConfigurationError(
            f"unknown region {region!r}: use one of {', '.join(DATA_CENTERS)}"
            " (the ending of the address you see when you are logged in to Bigin tells which)"
        ) from None


def checked_accounts_server(url: str) -> str:
    """Return the origin of an accounts server of the table or on loopback; refuse any other."""
    return _checked_origin(url, _ACCOUNTS_SERVERS, "accounts_server")


def checked_api_domain(url: str) -> str:
    """Return the origin of an API domain of the table or on loopback; refuse any other."""
    return _checked_origin(url, _API_DOMAINS, "api_domain")


def _checked_origin(url: str, allowed: frozenset[str], field: str) -> str:
    origin = url.strip().rstrip("/")
    if origin in allowed or _is_loopback_origin(origin):
        return origin
    raise BiginConfigurationError(
        f"{field} {url!r} is not trusted with a token: it must be one of {', '.join(sorted(allowed))},"
        " or a server on this machine such as http://127.0.0.1:8480"
    )


def _is_loopback_origin(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        _ = parts.port  # raises if it is not a number
        host = parts.hostname or ""
    except ValueError:
        return False
    is_bare = parts.scheme in ("http", "https") and "@" not in parts.netloc and origin.endswith(parts.netloc)
    return is_bare and _is_loopback_host(host)


def _is_loopback_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
