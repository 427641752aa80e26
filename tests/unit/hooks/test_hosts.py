"""Where secrets are sent: to Bigin, to this machine, or to hosts that Airflow's configuration names."""

from __future__ import annotations

import socket
import socketserver
import threading

import pytest

from airflow_provider_bigin.api.errors import BiginConfigurationError, BiginConnectionError
from airflow_provider_bigin.hooks.bigin import BiginHook

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@pytest.fixture(autouse=True)
def token_cache(monkeypatch, clock):
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "none")


@pytest.fixture
def stranger():
    """Run a server that records what it receives and hangs up."""
    received = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            received.append(self.request.recv(65536).decode(errors="replace"))

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        server.received, server.port = received, server.server_address[1]
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def names_lead_to_stranger(stranger, monkeypatch):
    look_up = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        is_name = not str(host).replace(".", "").isdecimal()
        return look_up(*(("127.0.0.1", stranger.port) if is_name else (host, port)), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.usefixtures("names_lead_to_stranger")
@pytest.mark.parametrize("field", ["accounts_server", "api_domain"])
@pytest.mark.parametrize("url", ["http://evil.example\\[::1]", "http://evil.example\\.[::1]"])
def test_what_looks_like_this_machine_gets_no_secret(connect, sandbox, stranger, field, url):
    hook = BiginHook(connect(sandbox, **{field: url}))
    with pytest.raises((BiginConfigurationError, BiginConnectionError)):
        hook.get_conn().get_current_user()
    assert stranger.received == []


@pytest.mark.parametrize("tail", ["/any?x#127.0.0.1:{port}", "/any?x#http://127.0.0.1:{port}"])
def test_a_path_is_not_an_origin(connect, sandbox, stranger, tail):
    url = f"http://127.0.0.1:{stranger.port}" + tail.format(port=stranger.port)
    with pytest.raises((BiginConfigurationError, BiginConnectionError)):
        BiginHook(connect(sandbox, accounts_server=url)).get_conn().get_current_user()
    assert stranger.received == []


@pytest.mark.parametrize("variable", PROXY_VARIABLES)
def test_no_proxy_sees_what_goes_to_this_machine(connect, sandbox, stranger, monkeypatch, variable):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv(variable, f"http://127.0.0.1:{stranger.port}")
    assert BiginHook(connect(sandbox)).get_conn().get_current_user()
    assert stranger.received == []


def test_bigin_itself_is_reached_through_the_proxy(connect, sandbox, stranger, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{stranger.port}")
    hook = BiginHook(connect(sandbox, region="eu", accounts_server=None, api_domain=None))
    with pytest.raises(BiginConnectionError):
        hook.get_conn().get_current_user()
    assert stranger.received
    assert all(request.startswith("CONNECT accounts.zoho.eu:443 ") for request in stranger.received)


# ---- [bigin] sandbox_hosts ----


@pytest.fixture
def sandbox_elsewhere(stranger, names_lead_to_stranger, connect, sandbox):
    url = "http://sandbox.internal:8480"
    return BiginHook(connect(sandbox, accounts_server=url, api_domain=url))


def test_a_sandbox_elsewhere_is_not_trusted_by_itself(sandbox_elsewhere, stranger):
    with pytest.raises(BiginConfigurationError, match=r"\[bigin\] sandbox_hosts") as error:
        sandbox_elsewhere.get_conn()
    assert "http://127.0.0.1:8480" in str(error.value)
    assert stranger.received == []


def test_a_sandbox_elsewhere_is_trusted_if_the_configuration_names_it(
    sandbox_elsewhere, stranger, monkeypatch
):
    monkeypatch.setenv("AIRFLOW__BIGIN__SANDBOX_HOSTS", "https://other:8, http://sandbox.internal:8480/")
    with pytest.raises(BiginConnectionError):
        sandbox_elsewhere.get_conn().get_current_user()
    assert stranger.received
    assert all(request.startswith("POST /oauth/v2/token ") for request in stranger.received)


@pytest.mark.parametrize("name", ["sandbox.internal", "*", "http://sandbox.internal/path", "http://a@b"])
def test_a_sandbox_host_that_is_not_an_origin_is_refused(sandbox_elsewhere, monkeypatch, name):
    monkeypatch.setenv("AIRFLOW__BIGIN__SANDBOX_HOSTS", name)
    with pytest.raises(BiginConfigurationError, match=r"\[bigin\] sandbox_hosts") as error:
        sandbox_elsewhere.get_conn()
    assert repr(name) in str(error.value)


@pytest.mark.parametrize("trusted", ["http://sandbox.internal:8480", ""])
def test_a_token_may_lead_to_a_sandbox_elsewhere_if_the_configuration_names_it(
    connect, sandbox, names_lead_to_stranger, stranger, monkeypatch, trusted
):
    monkeypatch.setenv("AIRFLOW__BIGIN__SANDBOX_HOSTS", trusted)
    sandbox.settings(token_api_domain="http://sandbox.internal:8480/")
    with pytest.raises(BiginConnectionError):
        BiginHook(connect(sandbox, api_domain=None)).get_conn().get_current_user()
    received = "".join(stranger.received)
    assert ("GET /bigin/v2/users" in received) == bool(trusted)
    assert ("Zoho-oauthtoken" in received) == bool(trusted)
