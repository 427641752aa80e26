"""What all of Bigin's calls have in common."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime

import pytest
import requests

from tests.sandbox.conftest import ADA, Client
from tests.sandbox_control import SandboxControl


def test_without_a_token(bigin: Client):
    answer = requests.get(f"{bigin.url}/bigin/v2/users", timeout=10)
    assert answer.status_code == 401
    assert answer.json() == {
        "code": "AUTHENTICATION_FAILURE",
        "details": {},
        "message": "Authentication failed",
        "status": "error",
    }


@pytest.mark.parametrize("scheme", ["Bearer", "zoho-oauthtoken", "Zoho-oauthtoken un"])
def test_another_scheme_or_token(bigin: Client, scheme):
    token = bigin.headers["Authorization"].split()[1]
    answer = bigin.get("/users", headers={"Authorization": f"{scheme} {token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")
    assert answer.json()["message"] == "invalid oauth token"


@pytest.mark.parametrize(
    ("method", "path", "scopes"),
    [
        ("POST", f"/Contacts/{ADA}/actions/send_mail", ["ZohoBigin.send_mail.all.CREATE"]),
        ("GET", "/settings/emails/actions/from_addresses", ["ZohoBigin.settings.emails.READ"]),
        ("GET", "/settings/emails/actions/from_addresses", ["ZohoBigin.settings.ALL"]),
        ("POST", "/files", ["ZohoBigin.Files.CREATE"]),
        ("GET", "/files?id=1", ["ZohoBigin.Files.READ"]),
        ("GET", "/users?type=CurrentUser", ["ZohoBigin.users.READ"]),
        ("GET", "/users?type=CurrentUser", ["ZohoBigin.users.ALL"]),
        ("GET", "/org", ["ZohoBigin.org.READ"]),
        ("GET", "/settings/modules", ["ZohoBigin.settings.modules.READ"]),
        ("GET", "/settings/fields?module=Contacts", ["ZohoBigin.settings.fields.READ"]),
        ("GET", f"/Contacts/{ADA}", ["ZohoBigin.modules.ALL"]),
        ("GET", f"/Contacts/{ADA}", ["ZohoBigin.modules.contacts.READ"]),
        ("GET", f"/Contacts/{ADA}/Emails", ["ZohoBigin.modules.contacts.ALL"]),
        ("GET", "/Contacts/search?word=ada", ["ZohoBigin.modules.ALL", "ZohoSearch.securesearch.READ"]),
    ],
)
def test_scopes(sandbox: SandboxControl, bigin: Client, method, path, scopes):
    sandbox.settings(scopes=scopes)
    assert bigin.request(method, path).status_code != 401
    for missing in scopes:
        sandbox.settings(scopes=[scope for scope in scopes if scope != missing])
        answer = bigin.request(method, path)
        assert answer.status_code == 401
        assert answer.json() == {
            "code": "OAUTH_SCOPE_MISMATCH",
            "details": [],
            "message": "invalid oauth scope to access this URL",
            "status": "error",
        }


def test_the_scope_of_one_module_does_not_cover_another(sandbox, bigin):
    sandbox.settings(scopes=["ZohoBigin.modules.accounts.READ"])
    assert bigin.get(f"/Contacts/{ADA}").json()["code"] == "OAUTH_SCOPE_MISMATCH"


def test_an_unknown_url_is_found_before_the_token_is_looked_at(bigin: Client):
    answer = requests.get(f"{bigin.url}/bigin/v2/Contacts/{ADA}/actions/fly", timeout=10)
    assert (answer.status_code, answer.json()["code"]) == (404, "INVALID_URL_PATTERN")


def test_a_wrong_method(bigin: Client):
    answer = bigin.get(f"/Contacts/{ADA}/actions/send_mail")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST_METHOD")


def test_headers_of_an_answer(sandbox, bigin: Client):
    headers = bigin.get("/users").headers
    assert headers["content-type"] == "application/json;charset=UTF-8"
    assert headers["server"] == "ZGS"
    assert headers["content-disposition"] == "attachment; filename=response.json"
    reset = datetime.fromisoformat(headers["x-accesstoken-reset"])
    assert abs(reset.timestamp() - sandbox.now() - 3600) < 60
    assert reset.utcoffset()
    assert "x-api-credits-remaining" not in headers


def test_a_refusal_does_not_tell_when_the_token_ends(bigin: Client):
    assert "x-accesstoken-reset" not in bigin.get("/files?id=1").headers


def test_the_date_header_follows_the_clock(sandbox, bigin: Client):
    sandbox.advance(86_400)
    for answer in (bigin.get("/users"), requests.head(sandbox.url, timeout=10)):
        date = parsedate_to_datetime(answer.headers["date"])
        assert abs(date.timestamp() - sandbox.now()) < 60


def test_anybody_may_ask_for_the_date(sandbox):
    answer = requests.head(sandbox.url, timeout=10)
    assert answer.status_code == 200
    assert answer.headers["date"].endswith("GMT")


def test_credits_run_out(sandbox, bigin: Client):
    sandbox.settings(credits_remaining=2)
    assert bigin.get("/users").headers["x-api-credits-remaining"] == "1"
    assert bigin.get("/users").headers["x-api-credits-remaining"] == "0"
    answer = bigin.get("/users")
    assert (answer.status_code, answer.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert "24 hours" in answer.json()["message"]


def test_users(bigin: Client):
    [user] = bigin.get("/users?type=CurrentUser").json()["users"]
    assert user["email"] == "ada@example.com"
    assert bigin.get("/users?type=Nobody").status_code == 400


def test_organization(bigin: Client):
    [org] = bigin.get("/org").json()["org"]
    assert {"id", "company_name", "time_zone", "zgid", "primary_email", "license_details"} <= org.keys()


@pytest.mark.parametrize("key", ["from_address", "from_addresses"])
def test_from_addresses(sandbox, bigin: Client, key):
    sandbox.settings(from_addresses_key=key)
    body = bigin.get("/settings/emails/actions/from_addresses").json()
    assert list(body) == [key]
    assert [address["email"] for address in body[key] if address.get("default")] == ["ada@example.com"]
    assert [address["email"] for address in body[key]] == ["ada@example.com", "team@example.com"]


def test_no_from_addresses(sandbox, bigin: Client):
    sandbox.settings(from_addresses=[])
    answer = bigin.get("/settings/emails/actions/from_addresses")
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_date_header_that_is_wrong(sandbox, bigin: Client):
    sandbox.settings(date_skew=5)
    date = parsedate_to_datetime(bigin.get("/users").headers["date"])
    assert abs(date.timestamp() - sandbox.now() - 5) < 2
    sandbox.settings(date="nonsense")
    assert "9999999" in bigin.get("/users").headers["date"]
    sandbox.settings(date="missing")
    assert "date" not in bigin.get("/users").headers
