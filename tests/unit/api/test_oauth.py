from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.api.client import new_session
from airflow_provider_bigin.api.oauth import (
    SCOPES,
    Credentials,
    exchange_grant_code,
    refresh_access_token,
    revoke_token,
)

NOW = 1_800_000_000.0


@pytest.fixture
def session():
    with new_session() as session:
        yield session


@pytest.fixture
def credentials(sandbox):
    connection = sandbox.connection()
    return Credentials(
        sandbox.url, connection["login"], connection["password"], connection["extra"]["refresh_token"]
    )


@pytest.fixture
def refresh(session):
    return lambda credentials: refresh_access_token(session, credentials, now=NOW, timeout=5)


@pytest.fixture
def exchange(session, credentials):
    return lambda code: exchange_grant_code(
        session,
        accounts_server=credentials.accounts_server,
        client_id=credentials.client_id,
        client_secret=credentials.client_secret,
        code=code,
        now=NOW,
        timeout=5,
    )


@pytest.mark.parametrize("in_milliseconds", [False, True])
def test_a_token_lives_an_hour(sandbox, refresh, credentials, in_milliseconds):
    sandbox.settings(expires_in_ms=in_milliseconds)
    assert refresh(credentials).expires_at == NOW + 3600


def test_a_token_comes_with_its_api_domain(sandbox, refresh, credentials):
    assert refresh(credentials).api_domain == sandbox.url


@pytest.mark.parametrize("host", ["https://evil.example", "https://www.zohoapis.eu.evil.example", "http://x"])
def test_an_api_domain_that_is_not_zohos_is_not_believed(sandbox, refresh, credentials, host):
    sandbox.settings(token_api_domain=host)
    assert refresh(credentials).api_domain is None


@pytest.mark.parametrize(
    ("wrong", "code", "says"),
    [
        ("client_id", "invalid_client", "data center"),
        ("client_secret", "invalid_client_secret", "client secret"),
        ("refresh_token", "invalid_code", "authorize again"),
    ],
)
def test_wrong_credentials_are_told_apart_and_final(refresh, credentials, wrong, code, says):
    with pytest.raises(errors.BiginAuthenticationError, match=says) as error:
        refresh(replace(credentials, **{wrong: "1000.mistaken"}))
    assert error.value.code == code
    assert not error.value.retryable
    assert "mistaken" not in str(error.value)


@pytest.mark.parametrize("status", [400, 200])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_throttle_is_no_refusal_of_the_credentials(sandbox, refresh, credentials, status, language):
    sandbox.settings(throttle_status=status, throttle_language=language)
    sandbox.throttle_tokens(60)
    with pytest.raises(errors.BiginTokenLimitError) as error:
        refresh(credentials)
    assert error.value.retryable


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ("500_before", errors.BiginServerError),
        ("502_html", errors.BiginServerError),
        ("truncated", errors.BiginServerError),
        ("empty_200", errors.BiginServerError),
        ("dropped", errors.BiginConnectionError),
        ("lost_answer", errors.BiginConnectionError),
    ],
)
def test_trouble_of_the_accounts_server_may_pass(sandbox, refresh, credentials, fault, error_class):
    sandbox.fault("token", fault)
    with pytest.raises(error_class) as error:
        refresh(credentials)
    assert error.value.retryable
    assert error.value.sent == "no"
    assert refresh(credentials).value


def test_no_netrc_entry_is_sent_to_the_accounts_server(sandbox, refresh, credentials, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    refresh(credentials)
    assert "authorization" not in sandbox.log()[0]["headers"]


@pytest.fixture
def answering():
    """Answer every POST in the same way, and return the server's address and the requested paths."""
    with ExitStack() as stack:

        def start(status, body=b"", **headers):
            paths = []

            class Handler(BaseHTTPRequestHandler):
                def do_POST(self):
                    paths.append(self.path)
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *args):
                    pass

            server = stack.enter_context(HTTPServer(("127.0.0.1", 0), Handler))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}", paths

        yield start


def test_the_secrets_do_not_follow_a_redirect(refresh, credentials, answering):
    url, paths = answering(307, Location="/elsewhere")
    with pytest.raises(errors.BiginServerError):
        refresh(replace(credentials, accounts_server=url))
    assert paths == ["/oauth/v2/token"]


@pytest.mark.parametrize(
    "value", ["1000.a\r\nX-Evil: 1", "1000.a b", "1000.\u00fc", "\x7f", "x" * 9000, "", 7, None]
)
@pytest.mark.parametrize("field", ["access_token", "refresh_token"])
def test_a_token_that_cannot_be_one_is_not_taken_and_not_quoted(
    session, credentials, answering, field, value
):
    good = {"access_token": "1000.good", "refresh_token": "1000.good"}
    url, _ = answering(200, json.dumps({**good, field: value}).encode())
    with pytest.raises(errors.BiginError) as error:
        exchange_grant_code(
            session,
            accounts_server=url,
            client_id=credentials.client_id,
            client_secret=credentials.client_secret,
            code="1000.code",
            now=NOW,
            timeout=5,
        )
    if value:
        assert str(value) not in str(error.value)


@pytest.mark.parametrize(
    ("told", "is_quoted"),
    [
        ("temporarily_unavailable", True),
        ("<b>1000.secret</b>", False),
        ("a" * 41, False),
        ("a\nb", False),
        ([1], False),
    ],
)
def test_an_unknown_error_is_quoted_only_if_it_is_a_plain_code(
    refresh, credentials, answering, told, is_quoted
):
    url, _ = answering(200, json.dumps({"error": told}).encode())
    with pytest.raises(errors.BiginServerError) as error:
        refresh(replace(credentials, accounts_server=url))
    assert (str(told) in str(error.value)) == is_quoted


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 200 + b"1" + b"}" * 200, b'{"error":' + b"[" * 60 + b"]" * 60 + b"}"]
)
def test_a_deep_answer_is_not_json(refresh, credentials, answering, body):
    url, _ = answering(200, body)
    with pytest.raises(errors.BiginServerError, match="not a JSON object"):
        refresh(replace(credentials, accounts_server=url))


def test_a_grant_code_becomes_a_refresh_token_once(sandbox, exchange, refresh, credentials):
    sandbox.settings(token_answer_scope=True, scopes=list(SCOPES))
    code = sandbox.new_grant()
    grant = exchange(code)
    assert grant.scopes == SCOPES
    assert refresh(replace(credentials, refresh_token=grant.refresh_token)).value != grant.access_token.value
    with pytest.raises(errors.BiginAuthenticationError, match="used, expired"):
        exchange(code)


def test_too_many_grant_codes_are_a_throttle(sandbox, exchange):
    codes = [sandbox.new_grant() for _ in range(11)]
    with pytest.raises(errors.BiginTokenLimitError):
        exchange(codes[-1])


def test_a_revoked_refresh_token_is_of_no_use(session, refresh, credentials):
    revoke_token(
        session, accounts_server=credentials.accounts_server, token=credentials.refresh_token, timeout=5
    )
    with pytest.raises(errors.BiginAuthenticationError, match="revoked"):
        refresh(credentials)
    assert not revoke_token(
        session, accounts_server=credentials.accounts_server, token=credentials.refresh_token, timeout=5
    )


def test_no_secret_is_in_a_repr(sandbox, exchange, credentials):
    grant = exchange(sandbox.new_grant())
    shown = repr([credentials, grant])
    for secret in (
        credentials.client_secret,
        credentials.refresh_token,
        grant.refresh_token,
        grant.access_token.value,
    ):
        assert secret not in shown


def test_the_digest_tells_credentials_apart_without_telling_them(credentials):
    digest = credentials.digest()
    assert replace(credentials, client_secret="rotated").digest() == digest
    for name in ("accounts_server", "client_id", "refresh_token"):
        assert replace(credentials, **{name: "other"}).digest() != digest
        assert getattr(credentials, name) not in digest
