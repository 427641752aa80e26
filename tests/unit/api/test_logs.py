"""What urllib3's DEBUG lines and chained tracebacks reveal about secrets and people."""

from __future__ import annotations

import logging
import socket
import traceback

import pytest

from airflow_provider_bigin.api.errors import BiginConnectionError, BiginError
from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.api.oauth import revoke_token
from airflow_provider_bigin.hooks.bigin import BiginHook

MAIL = Mail.compose(
    from_email="ada@example.com", to="ada.lovelace@example.org", subject="Hello", content="Hi"
)
SEARCH = {"email": "ada.lovelace@example.org"}


@pytest.fixture
def search(connect, sandbox, clock, monkeypatch):
    """Return a function that searches for an address in vain and returns the error."""
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "none")

    def fail(**changes):
        hook = BiginHook(connect(sandbox, **changes))
        with pytest.raises(BiginError) as error:
            list(hook.search_records("Contacts", **SEARCH))
        return error.value

    return fail


def test_debug_lines_hold_no_secrets_and_no_address_but_one_searched_for(hook, sandbox, caplog):
    connection = sandbox.connection()
    client = hook.get_conn()
    with caplog.at_level(logging.DEBUG):
        client.send_mail("Contacts", "5000000000000000101", MAIL)
        sent = caplog.text
        list(client.search_records("Contacts", **SEARCH))
        token = client._tokens.get().value
        revoke_token(client._session, accounts_server=sandbox.url, token=token, timeout=9)
    assert "actions/send_mail" in sent
    assert "example" not in sent
    assert "search?" in caplog.text
    for secret in (token, connection["password"], connection["extra"]["refresh_token"]):
        assert secret not in caplog.text


@pytest.mark.parametrize("fault", ["dropped", "500_before"])
def test_a_traceback_holds_neither_secrets_nor_the_address_searched_for(search, sandbox, fault):
    sandbox.fault("any", fault, times=None, skip=1)
    assert_discreet(search(), sandbox)


def test_a_traceback_of_a_host_that_nobody_reaches(search, sandbox):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    error = search(api_domain=f"http://127.0.0.1:{port}")
    assert isinstance(error, BiginConnectionError)
    assert_discreet(error, sandbox)


def assert_discreet(error, sandbox):
    text = "".join(traceback.format_exception(error))
    connection = sandbox.connection()
    for told in ("lovelace", connection["password"], connection["extra"]["refresh_token"], "Zoho-oauthtoken"):
        assert told not in text
