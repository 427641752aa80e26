from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests import Request
from requests.adapters import HTTPAdapter

from airflow_provider_bigin.api.data_centers import (
    DATA_CENTERS,
    checked_accounts_server,
    checked_api_domain,
    get_data_center,
    parse_region,
)
from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.get_provider_info import CONNECTION_FIELDS


def test_canada_has_two_domains():
    assert get_data_center(" CA ") == ("https://accounts.zohocloud.ca", "https://www.zohoapis.ca")


def test_an_unknown_region_is_told_the_known_ones():
    with pytest.raises(
        BiginConfigurationError, match=r"unknown region 'uk': use one of zoho\.com, zoho\.eu, zoho\.com\.au,"
    ):
        get_data_center("uk")


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("us", "zoho.com"),
        ("com", "zoho.com"),
        (" EU ", "zoho.eu"),
        ("au", "zoho.com.au"),
        ("com.au", "zoho.com.au"),
        ("cn", "zoho.com.cn"),
        ("com.cn", "zoho.com.cn"),
        ("in", "zoho.in"),
        ("ca", "zohocloud.ca"),
        ("bigin.zoho.jp", "zoho.jp"),
        ("zoho.sa", "zoho.sa"),
    ],
)
def test_a_region_is_known_by_what_people_write_for_it(written, domain):
    assert parse_region(written) == domain


def test_airflow_masks_every_region_without_complaint():
    assert min(map(len, DATA_CENTERS)) >= 5


def test_the_form_offers_the_regions_of_the_table():
    assert CONNECTION_FIELDS["region"]["schema"]["enum"] == list(DATA_CENTERS)


@pytest.mark.parametrize("center", DATA_CENTERS.values(), ids=DATA_CENTERS)
def test_the_hosts_of_the_table_are_trusted(center):
    assert checked_accounts_server(center.accounts_server + "/") == center.accounts_server
    assert checked_api_domain(center.api_domain) == center.api_domain


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8480", "http://127.8.9.10", "https://localhost:65535", "http://[::1]:8480/"]
)
def test_loopback_is_trusted(url):
    assert checked_api_domain(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://evil.example",
        "http://www.zohoapis.com",
        "https://www.zohoapis.com.evil.example",
        "https://www.zohoapis.com@evil.example",
        "https://accounts.zoho.com",
        "http://127.0.0.1@evil.example",
        "http://127.0.0.1:80\\@evil.example",
        "http://127.0.0.1#@evil.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1/bigin",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://localhost.evil.example",
        "ftp://127.0.0.1",
        "http://127.0.0.1:port",
        "http://[::1",
        "http://[::1%25lo]",
        "http://evil.example\\[::1]",
        "http://evil.example [::1]",
        "http://127.0.0.1:8080/any?x#127.0.0.1:8080",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536",
        "http://127.0.0.1:8480\n",
        "http://127.0.0.1:\u0661",
        "http://127.0.0.1//",
        "http://127.0.0.256",
        "http://127.0.0.010",
        "http://127.1",
        "http://localho\u017ft",
        "http://sandbox.internal:8480",
    ],
)
def test_no_other_host_is_trusted_with_a_token(url):
    with pytest.raises(BiginConfigurationError, match="not trusted with a token"):
        checked_api_domain(url)


ORIGIN_LIKE = st.from_regex(
    r"(https?|HTTP|ftp)://[a-z0-9.@:\[\]#\\/?%&;= \t\n-]{0,20}"
    r"(localhost|127\.[0-9.]{1,12}|\[::1\]|www\.zohoapis\.com|sandbox)[a-z0-9.@:\[\]#\\/?%\n-]{0,20}",
    fullmatch=True,
)


@given(st.text() | ORIGIN_LIKE)
def test_what_is_trusted_leads_to_this_machine_or_to_bigin(url):
    try:
        origin = checked_api_domain(url, frozenset({"http://sandbox"}))
    except BiginConfigurationError:
        return
    request = Request("GET", f"{origin}/bigin/v2/users").prepare()
    host = HTTPAdapter().get_connection_with_tls_context(request, verify=True).host
    assert urlsplit(request.url).path == "/bigin/v2/users"
    assert host in ("localhost", "www.zohoapis.com", "sandbox") or ip_address(host).is_loopback
