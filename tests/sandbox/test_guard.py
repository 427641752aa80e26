"""Attacks from other sites' web pages, and bodies that are too large."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from tests.sandbox.conftest import ADA, Client, credentials
from tests.sandbox_control import SandboxControl, sandbox_thread

JSON = {"Content-Type": "application/json"}
PAGES = ["/", "/sandbox/mails", "/sandbox/connection", "/bigin/v2/users"]


def status(sandbox: SandboxControl, method: str, path: str, **headers: str) -> int:
    return requests.request(method, sandbox.url + path, headers=headers, timeout=10).status_code


# ---- web pages ----


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("host", ["evil.example", "evil.example:8480", "localhost.evil.example", ""])
def test_a_name_that_was_bound_anew_to_this_machine_reads_nothing(sandbox, path, host):
    assert status(sandbox, "GET", path, Host=host) == 400
    assert sandbox.counts() == {}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8480", "[::1]:8480"])
def test_the_names_of_this_machine_are_its_own(sandbox, host):
    assert status(sandbox, "GET", "/", Host=host) == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1", "http://["]
)
def test_a_page_of_others_changes_nothing(sandbox, bigin: Client, origin):
    bigin.sent()
    assert status(sandbox, "POST", "/sandbox/reset", Origin=origin, **JSON) == 403
    assert status(sandbox, "DELETE", "/sandbox/faults", Origin=origin) == 403
    assert bigin.post("/files", files={"file": ("a", b"a")}, headers={"Origin": origin}).status_code == 403
    assert sandbox.mail_count() == 1
    assert "files" not in sandbox.counts()


def test_a_page_of_its_own_may(sandbox):
    assert status(sandbox, "POST", "/sandbox/reset", Origin=sandbox.url, **JSON) == 200


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", None]
)
@pytest.mark.parametrize("path", ["/sandbox/reset", "/sandbox/refresh_token/revoke", "/sandbox/clock"])
def test_what_a_form_can_send_changes_nothing(sandbox, bigin: Client, kind, path):
    before = sandbox.now()
    bigin.sent()
    headers = {"Content-Type": kind} if kind else {}
    answer = requests.post(sandbox.url + path, data='{"advance": 9999}', headers=headers, timeout=10)
    assert answer.status_code == 415
    assert "application/json" in answer.text
    assert sandbox.mail_count() == 1
    assert sandbox.now() < before + 1000
    assert bigin.get("/users").status_code == 200


# ---- bodies ----


@pytest.mark.parametrize(
    ("path", "kind", "size"),
    [
        (f"/bigin/v2/Contacts/{ADA}/actions/send_mail", "application/json", 50 * 2**20),
        ("/oauth/v2/token", "application/x-www-form-urlencoded", 50 * 2**20),
        ("/sandbox/records/Contacts", "application/json", 50 * 2**20),
        ("/bigin/v2/files", "multipart/form-data; boundary=x", 2**40),
    ],
)
def test_a_body_that_is_too_large_is_not_waited_for(sandbox, bigin: Client, path, kind, size):
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=5)
    connection.putrequest("POST", path)
    headers = {"Content-Type": kind, "Content-Length": str(size), **bigin.headers}
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_body_of_unknown_size_is_read_to_the_limit(sandbox):
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=10)
    connection.putrequest("POST", "/sandbox/records/Contacts")
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    size = 10 * 2**20 + 1
    connection.send(b"%x\r\n" % size + b" " * size + b"\r\n")
    assert connection.getresponse().status == 413
    connection.close()


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_deep_nesting_is_refused_and_does_no_harm(sandbox, bigin: Client, depth):
    mail = {
        "from": {"email": "ada@example.com"},
        "to": [{"email": "ada.lovelace@example.org"}],
        "subject": "Hello",
    }
    body = json.dumps({"data": [mail]})[:-3] + f', "more": {nested(depth)}}}]}}'
    headers = {**bigin.headers, **JSON}
    url = f"{sandbox.url}/bigin/v2/Contacts/{ADA}/actions/send_mail"
    assert requests.post(url, data=body, headers=headers, timeout=10).status_code == 400
    record = f'{{"records": [{{"Last_Name": {nested(depth)}}}]}}'
    answer = requests.post(f"{sandbox.url}/sandbox/records/Contacts", data=record, headers=JSON, timeout=10)
    assert answer.status_code == 400
    assert sandbox.mails() == []
    assert bigin.get("/Contacts?fields=Last_Name").status_code == 200


def test_brackets_in_texts_are_not_nesting(bigin: Client):
    content = '\\"' + "[" * 1000 + '"{{{{\\'
    assert bigin.send_mail(subject=content[-5:], content=content * 10).status_code == 200


# ---- credentials ----


def test_the_credentials_of_one_sandbox_open_no_other(sandbox):
    with sandbox_thread() as other:
        ours, theirs = credentials(sandbox), credentials(other)
        assert ours["client_secret"] != theirs["client_secret"]
        assert ours["refresh_token"] != theirs["refresh_token"]
        for name in ("client_secret", "refresh_token"):
            form = {**ours, name: theirs[name]}
            assert "error" in requests.post(f"{sandbox.url}/oauth/v2/token", data=form, timeout=10).json()


@pytest.mark.parametrize("code", ["1000.sandbox.grant", ""])
def test_no_grant_code_is_known_beforehand(sandbox, code):
    form = {**credentials(sandbox), "grant_type": "authorization_code", "code": code}
    assert "error" in requests.post(f"{sandbox.url}/oauth/v2/token", data=form, timeout=10).json()


def test_the_connection_outlives_a_reset(sandbox):
    before = sandbox.connection()
    sandbox.reset()
    assert sandbox.connection() == before


# ---- reachable from elsewhere ----


@pytest.fixture(scope="module")
def public() -> Iterator[SandboxControl]:
    with sandbox_thread(public=True) as control:
        yield control


@pytest.mark.parametrize("path", ["/", "/mails/1/body", "/inbox.css", "/sandbox/connection"])
@pytest.mark.parametrize("login", [None, ("", ""), ("1000.SANDBOXCLIENT", "guessed"), ("é", "ü")])
def test_inbox_and_control_api_ask_for_the_login(public, path, login):
    answer = requests.get(public.url + path, auth=login, timeout=10)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    assert "date" in answer.headers


def test_nobody_resets_it_without_the_login(public):
    assert requests.post(f"{public.url}/sandbox/reset", json={}, timeout=10).status_code == 401


def test_with_the_login_under_any_name(public):
    connection = public.connection()
    login = connection["login"], connection["password"]
    for path in ("/", "/sandbox/connection"):
        answer = requests.get(public.url + path, auth=login, headers={"Host": "bigin:8480"}, timeout=10)
        assert answer.status_code == 200
    assert answer.json()["extra"]["api_domain"] == "http://bigin:8480"
    with Client(public) as bigin:
        assert bigin.send_mail().status_code == 200
