from __future__ import annotations

import pytest
import requests

from tests.sandbox.conftest import Client, credentials
from tests.sandbox_control import SandboxControl


def ask(sandbox: SandboxControl, **changes: str) -> requests.Response:
    form = {**credentials(sandbox), **changes}
    return requests.post(f"{sandbox.url}/oauth/v2/token", data=form, timeout=10)


def exchange(sandbox: SandboxControl, code: str) -> requests.Response:
    return ask(sandbox, grant_type="authorization_code", code=code)


def works(sandbox: SandboxControl, access_token: str) -> bool:
    headers = {"Authorization": f"Zoho-oauthtoken {access_token}"}
    return requests.get(f"{sandbox.url}/bigin/v2/users", headers=headers, timeout=10).status_code == 200


def test_refresh_gives_an_access_token_and_no_refresh_token(sandbox):
    answer = ask(sandbox)
    assert answer.status_code == 200
    body = answer.json()
    assert works(sandbox, body.pop("access_token"))
    assert "ZohoBigin.send_mail.all.CREATE" in body.pop("scope").split()
    assert body == {"api_domain": sandbox.url, "token_type": "Bearer", "expires_in": 3600}


@pytest.mark.parametrize("form", ["query", "multipart"])
def test_parameters_may_be_in_the_query_or_in_a_multipart_form(sandbox, form):
    given = credentials(sandbox)
    how = {"params": given} if form == "query" else {"files": {name: (None, given[name]) for name in given}}
    answer = requests.post(f"{sandbox.url}/oauth/v2/token", timeout=10, **how)
    assert "access_token" in answer.json()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"client_id": "1000.OTHER"}, "invalid_client"),
        ({"client_id": " 1000.SANDBOXCLIENT"}, "invalid_client"),
        ({"client_secret": "wrong"}, "invalid_client_secret"),
        ({"refresh_token": "1000.unknown"}, "invalid_code"),
        ({"grant_type": "authorization_code", "code": "unknown"}, "invalid_code"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_refusals_come_with_status_200(sandbox, changes, error):
    answer = ask(sandbox, **changes)
    assert (answer.status_code, answer.json()) == (200, {"error": error})


def test_a_json_body_is_not_understood(sandbox):
    answer = requests.post(f"{sandbox.url}/oauth/v2/token", json=credentials(sandbox), timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"error": "invalid_client"})


def test_get_is_refused(sandbox):
    answer = requests.get(f"{sandbox.url}/oauth/v2/token", params=credentials(sandbox), timeout=10)
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("text/html")


def test_a_grant_code_works_once(sandbox):
    code = sandbox.new_grant()
    body = exchange(sandbox, code).json()
    assert works(sandbox, body["access_token"])
    assert "access_token" in ask(sandbox, refresh_token=body["refresh_token"]).json()
    assert exchange(sandbox, code).json() == {"error": "invalid_code"}


def test_a_grant_code_expires(sandbox):
    code = sandbox.new_grant()
    sandbox.advance(601)
    assert exchange(sandbox, code).json() == {"error": "invalid_code"}


def test_the_eleventh_grant_code_in_ten_minutes_is_refused(sandbox):
    codes = [sandbox.new_grant() for _ in range(11)]
    assert exchange(sandbox, codes[-1]).json() == {"error": "access_denied"}
    sandbox.advance(601)
    assert "access_token" in exchange(sandbox, sandbox.new_grant()).json()


def test_the_twenty_first_refresh_token_ends_the_oldest(sandbox):
    sandbox.settings(token_limits=False)
    for _ in range(20):
        sandbox.advance(1)
        exchange(sandbox, sandbox.new_grant())
    assert ask(sandbox).json() == {"error": "invalid_code"}


@pytest.mark.parametrize("status", [400, 200])
def test_the_eleventh_token_in_ten_minutes_is_refused(sandbox, status):
    sandbox.settings(throttle_status=status)
    tokens = [ask(sandbox).json()["access_token"] for _ in range(10)]
    answer = ask(sandbox)
    assert answer.status_code == status
    assert answer.json() == {
        "error_description": "You have made too many requests continuously."
        " Please try again after some time.",
        "error": "Access Denied",
        "status": "failure",
    }
    assert all(works(sandbox, token) for token in tokens)
    sandbox.advance(601)
    assert "access_token" in ask(sandbox).json()


def test_even_the_error_of_a_throttle_is_translated(sandbox):
    sandbox.settings(throttle_language="zh")
    sandbox.throttle_tokens(60)
    body = ask(sandbox).json()
    assert body["error"] == "拒绝访问"
    assert body["status"] == "failure"
    assert body["error_description"].isascii() is False


@pytest.mark.parametrize(("needs_silence", "given"), [(False, True), (True, False)])
def test_asking_on_may_prolong_the_throttle(sandbox, needs_silence, given):
    sandbox.settings(throttle_needs_silence=needs_silence)
    for _ in range(10):
        ask(sandbox)
    sandbox.advance(300)
    for _ in range(10):
        assert ask(sandbox).status_code == 400
    sandbox.advance(301)
    assert ("access_token" in ask(sandbox).json()) is given


def test_a_throttle_ordered_by_hand_ends_by_the_clock(sandbox):
    sandbox.throttle_tokens(20)
    assert ask(sandbox).status_code == 400
    sandbox.advance(21)
    assert ask(sandbox).status_code == 200


def test_the_sixteenth_active_token_ends_the_oldest(sandbox):
    tokens = [ask(sandbox).json()["access_token"] for _ in range(10)]
    sandbox.advance(601)
    tokens += [ask(sandbox).json()["access_token"] for _ in range(6)]
    assert [works(sandbox, token) for token in tokens] == [False] + [True] * 15


def test_without_limits_tokens_are_given_and_kept(sandbox):
    sandbox.settings(token_limits=False)
    tokens = [ask(sandbox).json()["access_token"] for _ in range(20)]
    assert all(works(sandbox, token) for token in tokens)


def test_an_access_token_lives_an_hour(sandbox):
    token = ask(sandbox).json()["access_token"]
    sandbox.advance(3590)
    assert works(sandbox, token)
    sandbox.advance(11)
    assert not works(sandbox, token)


def test_tokens_can_be_expired_by_hand(sandbox):
    token = ask(sandbox).json()["access_token"]
    sandbox.expire_tokens()
    assert not works(sandbox, token)


def test_the_legacy_shape_is_in_milliseconds(sandbox):
    sandbox.settings(expires_in_ms=True)
    body = ask(sandbox).json()
    assert (body["expires_in_sec"], body["expires_in"]) == (3600, 3_600_000)


def test_the_answer_may_lack_the_scopes(sandbox):
    sandbox.settings(token_answer_scope=False)
    assert "scope" not in ask(sandbox).json()


def test_the_answer_may_name_another_api_domain_and_the_scopes(sandbox):
    sandbox.settings(token_api_domain="https://evil.example", scopes=["A.b.C", "D.e.F"])
    body = ask(sandbox).json()
    assert body["api_domain"] == "https://evil.example"
    assert body["scope"] == "A.b.C D.e.F"


@pytest.mark.parametrize("how", ["params", "data"])
def test_revoking_a_refresh_token_ends_its_access_tokens(sandbox, how):
    token = ask(sandbox).json()["access_token"]
    url = f"{sandbox.url}/oauth/v2/token/revoke"
    parameters = {how: {"token": credentials(sandbox)["refresh_token"]}}
    assert requests.post(url, timeout=10, **parameters).json() == {"status": "success"}
    assert not works(sandbox, token)
    assert ask(sandbox).json() == {"error": "invalid_code"}
    assert "error" in requests.post(url, timeout=10, **parameters).json()


def test_revoking_an_access_token_leaves_the_refresh_token(sandbox):
    first, second = (ask(sandbox).json()["access_token"] for _ in range(2))
    requests.post(f"{sandbox.url}/oauth/v2/token/revoke", data={"token": first}, timeout=10)
    assert [works(sandbox, first), works(sandbox, second)] == [False, True]


def test_all_refresh_tokens_can_be_revoked_by_hand(sandbox, bigin: Client):
    sandbox.revoke_refresh_token()
    assert ask(sandbox).json() == {"error": "invalid_code"}
    assert bigin.get("/users").status_code == 401
