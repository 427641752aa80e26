"""The control API of the sandbox."""

from __future__ import annotations

import pytest
import requests

from tests.sandbox.conftest import ADA, GRACE, Client
from tests.sandbox_control import SandboxControl


def test_mails_are_shown_newest_first(sandbox: SandboxControl, bigin: Client):
    first, second, third = bigin.sent(ADA), bigin.sent(GRACE), bigin.sent(ADA)
    assert [mail["message_id"] for mail in sandbox.mails()] == [third, second, first]
    assert [mail["message_id"] for mail in sandbox.mails(ADA)] == [third, first]
    assert [mail["message_id"] for mail in sandbox.mails(limit=1)] == [third]
    assert sandbox.mail_count() == 3
    assert sandbox.mail_count(GRACE) == 1
    assert sandbox.mail_counts() == {ADA: 2, GRACE: 1}


def test_mails_are_dated_by_the_clock(sandbox, bigin: Client):
    sandbox.advance(1000)
    bigin.sent()
    assert abs(sandbox.mails()[0]["received_at"] - sandbox.now()) < 60


def test_the_clock(sandbox):
    before = sandbox.now()
    assert 3600 <= sandbox.advance(3600) - before < 3660
    assert 3600 <= sandbox.now() - before < 3660


def test_settings(sandbox):
    before = sandbox.settings()
    assert sandbox.settings(latency=0.5)["latency"] == 0.5
    assert sandbox.settings() == {**before, "latency": 0.5}
    sandbox.reset()
    assert sandbox.settings() == before


@pytest.mark.parametrize("changes", [{"latencey": 1}, {"latency": "slow"}, {"emails_key": "mails"}])
def test_an_impossible_setting_is_refused(sandbox, changes):
    before = sandbox.settings()
    answer = requests.patch(f"{sandbox.url}/sandbox/settings", json=changes, timeout=10)
    assert answer.status_code == 422
    assert next(iter(changes)) in answer.text
    assert sandbox.settings() == before


def test_requests_are_counted_on_arrival(sandbox, bigin: Client):
    assert sandbox.counts() == {"token": 1}
    bigin.send_mail()
    bigin.emails()
    bigin.get("/Contacts/search?word=ada")
    bigin.get(f"/Contacts/{ADA}")
    bigin.get("/nothing")
    assert sandbox.counts() == {
        "token": 1,
        "send_mail": 1,
        "emails": 1,
        "search": 1,
        "records": 1,
        "other": 1,
    }
    assert sandbox.statuses() == {"200": 5, "400": 1}


def test_the_log_has_no_secrets(sandbox, bigin: Client):
    bigin.get("/Contacts/search", params={"word": "ada"})
    requests.post(f"{sandbox.url}/oauth/v2/token", params=CREDENTIALS_IN_QUERY, timeout=10)
    log = sandbox.log()
    assert [(entry["call"], entry["method"], entry["status"]) for entry in log] == [
        ("token", "POST", 200),
        ("search", "GET", 200),
        ("token", "POST", 200),
    ]
    assert log[1]["query"] == {"word": "ada"}
    assert log[1]["headers"]["authorization"] == "***"
    for secret in ("s-e-c-r-e-t", "t-o-k-e-n", str(bigin.headers["Authorization"]).split()[1]):
        assert secret not in str(log)
    assert len(sandbox.log(limit=2)) == 2


CREDENTIALS_IN_QUERY = {"client_secret": "s-e-c-r-e-t", "refresh_token": "t-o-k-e-n"}


def test_status_of_an_unknown_mail(sandbox):
    answer = requests.post(f"{sandbox.url}/sandbox/mails/x/status", json={"type": "opened"}, timeout=10)
    assert answer.status_code == 404


def test_records_can_be_added(sandbox, bigin: Client):
    ids = sandbox.add_contacts(300)
    assert len(set(ids)) == 300
    assert {len(record_id) for record_id in ids} == {19}
    emails = {bigin.get(f"/Contacts/{record_id}").json()["data"][0]["Email"] for record_id in ids[:20]}
    assert len(emails) == 20
    named = sandbox.add_records("Contacts", [{"id": "5000000000000777777", "Email": "x@example.org"}])
    assert named == ["5000000000000777777"]
    assert not set(sandbox.add_contacts(5)) & {*ids, *named}
    assert bigin.send_mail(ids[0]).status_code == 200


@pytest.mark.parametrize("module", ["Accounts", "Pipelines"])
def test_made_up_records_of_other_modules_can_be_written_to(sandbox, bigin: Client, module):
    [record_id] = sandbox.call("POST", f"/records/{module}", {"count": 1})["ids"]
    assert bigin.send_mail(record_id, module).status_code == 200


def test_records_of_an_unknown_module(sandbox):
    answer = requests.post(f"{sandbox.url}/sandbox/records/Deals", json={"count": 1}, timeout=10)
    assert answer.status_code == 404


def test_reset_leaves_nothing(sandbox, bigin: Client):
    bigin.sent()
    sandbox.add_contacts(1)
    sandbox.fault("any", "500_before", times=None)
    sandbox.advance(5000)
    sandbox.throttle_tokens(60)
    before_offset = sandbox.now()
    sandbox.reset()
    assert sandbox.mails() == []
    assert sandbox.faults() == []
    assert sandbox.counts() == {}
    assert sandbox.now() < before_offset
    assert bigin.get("/users").status_code == 401
    bigin.log_in()
    assert len(bigin.get("/Contacts?fields=Email").json()["data"]) == 4
