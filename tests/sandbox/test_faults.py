"""Calls that go wrong: what the client sees and how they really ended."""

from __future__ import annotations

import socket
import threading
import time

import pytest
import requests

from airflow_provider_bigin.sandbox.faults import EFFECTS
from tests.sandbox.conftest import ADA, GRACE, Client, credentials
from tests.sandbox_control import SandboxControl

STORED = {
    "lost_answer",
    "500_after",
    "502_html_after",
    "slow",
    "trickle",
    "truncated",
    "no_content_type",
    "success_without_id",
    "success_with_odd_id",
    "too_large",
    "too_deep",
    "empty_200_after",
    "custom_error_after",
}


@pytest.mark.parametrize("fault", sorted(EFFECTS))
def test_whether_the_mail_was_taken(sandbox: SandboxControl, bigin: Client, fault):
    sandbox.fault("send_mail", fault)
    try:
        bigin.send_mail()
    except requests.ConnectionError:
        assert fault in ("lost_answer", "dropped")
    assert sandbox.mail_count() == (fault in STORED)
    assert sandbox.faults() == []
    assert bigin.send_mail().json()["data"][0]["code"] == "SUCCESS"


@pytest.mark.parametrize(
    ("fault", "status", "code", "words"),
    [
        ("500_before", 500, "INTERNAL_ERROR", "Internal Server Error"),
        ("500_after", 500, "INTERNAL_ERROR", "Internal Server Error"),
        ("503_before", 503, "INTERNAL_SERVER_ERROR", ""),
        ("429_concurrency", 429, "TOO_MANY_REQUESTS", "sub-concurrency"),
        ("429_credits", 429, "TOO_MANY_REQUESTS", "24 hour"),
        ("429_plain", 429, "TOO_MANY_REQUESTS", "Too many requests"),
        ("daily_limit", 400, "LIMIT_EXCEEDED", ""),
        ("invalid_token", 401, "INVALID_TOKEN", "invalid oauth token"),
        ("scope_mismatch", 401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope"),
        ("custom_error", 400, "CUSTOM_ERROR", "SMTP"),
        ("custom_error_after", 400, "CUSTOM_ERROR", "SMTP"),
        ("record_locked", 400, "RECORD_LOCKED", ""),
        ("no_permission", 403, "NO_PERMISSION", "permission denied"),
        ("unknown_file", 400, "INVALID_DATA", "no file exists"),
        ("item_error", 200, "NOT_ALLOWED", ""),
    ],
)
def test_refusals(sandbox, bigin: Client, fault, status, code, words):
    sandbox.fault("send_mail", fault)
    answer = bigin.send_mail()
    body = answer.json()
    error = body["data"][0] if "data" in body else body
    assert (answer.status_code, error["code"], error["status"]) == (status, code, "error")
    assert words in error["message"]


def test_an_answer_that_is_lost(sandbox, bigin: Client):
    sandbox.fault("send_mail", "lost_answer")
    with pytest.raises(requests.ConnectionError):
        bigin.send_mail(subject="kept")
    assert sandbox.mails()[0]["subject"] == "kept"
    assert bigin.emails().json()["Emails"][0]["subject"] == "kept"
    assert sandbox.statuses()["dropped"] == 1


@pytest.mark.parametrize("fault", ["502_html", "502_html_after"])
def test_html(sandbox, bigin: Client, fault):
    sandbox.fault("send_mail", fault)
    answer = bigin.send_mail()
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert "<html>" in answer.text


def test_truncated(sandbox, bigin: Client):
    sandbox.fault("send_mail", "truncated")
    answer = bigin.send_mail()
    assert answer.status_code == 200
    assert answer.text.startswith('{"data"')
    with pytest.raises(ValueError):  # noqa: PT011 - requests' own, which has no message of its own
        answer.json()


def test_without_content_type(sandbox, bigin: Client):
    sandbox.fault("send_mail", "no_content_type")
    answer = bigin.send_mail()
    assert "content-type" not in answer.headers
    assert answer.json()["data"][0]["code"] == "SUCCESS"


@pytest.mark.parametrize("fault", ["empty_200", "empty_200_after"])
def test_empty(sandbox, bigin: Client, fault):
    sandbox.fault("send_mail", fault)
    answer = bigin.send_mail()
    assert (answer.status_code, answer.content) == (200, b"")


def test_success_without_an_id(sandbox, bigin: Client):
    sandbox.fault("send_mail", "success_without_id")
    [result] = bigin.send_mail().json()["data"]
    assert (result["code"], result["details"]) == ("SUCCESS", {})


def test_a_throttled_token_endpoint(sandbox):
    sandbox.fault("token", "throttled")
    answer = requests.post(f"{sandbox.url}/oauth/v2/token", data=credentials(sandbox), timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (400, "failure")


@pytest.mark.parametrize("fault", ["429_concurrency", "503_before", "daily_limit", "throttled"])
def test_retry_after(sandbox, bigin: Client, fault):
    sandbox.fault("send_mail", fault, retry_after=7)
    answer = bigin.send_mail()
    body = answer.json()
    error = body["data"][0] if "data" in body else body
    assert answer.headers["retry-after"] == "7"
    assert error["details"]["retry_after"] == 7


def test_retry_after_of_a_page(sandbox, bigin: Client):
    sandbox.fault("send_mail", "502_html", retry_after=7)
    assert bigin.send_mail().headers["retry-after"] == "7"


def test_times_and_skip(sandbox, bigin: Client):
    sandbox.fault("send_mail", "500_before", times=2, skip=1)
    assert [bigin.send_mail().status_code for _ in range(5)] == [200, 500, 500, 200, 200]
    sandbox.fault("send_mail", "503_before", times=None)
    assert {bigin.send_mail().status_code for _ in range(5)} == {503}
    sandbox.clear_faults()
    assert bigin.send_mail().status_code == 200


def test_faults_come_in_the_order_of_their_ordering(sandbox, bigin: Client):
    for fault in ("500_before", "429_plain", "503_before"):
        sandbox.fault("send_mail", fault)
    assert [bigin.send_mail().status_code for _ in range(4)] == [500, 429, 503, 200]


def test_a_fault_of_one_record(sandbox, bigin: Client):
    sandbox.fault("send_mail", "500_before", record_id=GRACE)
    assert bigin.send_mail(ADA).status_code == 200
    assert bigin.send_mail(GRACE).status_code == 500


@pytest.mark.parametrize(
    ("on", "path"),
    [
        ("users", "/users"),
        ("from_addresses", "/settings/emails/actions/from_addresses"),
        ("emails", f"/Contacts/{ADA}/Emails"),
        ("records", f"/Contacts/{ADA}"),
        ("records", "/Contacts?fields=Email"),
        ("records", "/Contacts/search?word=ada"),
        ("any", "/org"),
    ],
)
def test_what_a_fault_is_for(sandbox, bigin: Client, on, path):
    sandbox.fault(on, "500_before")
    if on != "any":
        assert bigin.send_mail().status_code == 200
    assert bigin.get(path).status_code == 500
    assert bigin.get(path).status_code < 300


def test_a_fault_of_uploads(sandbox, bigin: Client):
    sandbox.fault("files", "500_before")
    statuses = [bigin.post("/files", files={"file": ("a.txt", b"a")}).status_code for _ in range(2)]
    assert statuses == [500, 200]


@pytest.mark.parametrize(
    "fault", [{"on": "tea", "fault": "slow"}, {"on": "any", "fault": "cold"}, {"on": "any"}]
)
def test_an_unknown_fault_is_refused(sandbox, fault):
    answer = requests.post(f"{sandbox.url}/sandbox/faults", json=fault, timeout=10)
    assert answer.status_code == 422
    assert sandbox.faults() == []


def test_a_slow_answer_is_really_slow_and_holds_nobody_up(sandbox, bigin: Client):
    sandbox.fault("send_mail", "slow", seconds=30)
    bigin.timeout = 2
    with pytest.raises(requests.ReadTimeout):
        bigin.send_mail()
    assert bigin.send_mail().status_code == 200
    assert sandbox.mail_count() == 2


def test_a_mail_counts_as_taken_while_its_answer_is_under_way(sandbox, bigin: Client):
    sandbox.settings(latency=30)
    bigin.timeout = 2
    with pytest.raises(requests.ReadTimeout):
        bigin.send_mail()
    assert sandbox.mail_count() == 1


def test_too_many_mails_at_once(sandbox, bigin: Client):
    sandbox.settings(latency=2, concurrency_limit=3)
    answers: list[requests.Response] = []
    threads = [threading.Thread(target=lambda: answers.append(bigin.send_mail())) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429, 429]
    assert "sub-concurrency" in max(answers, key=lambda answer: answer.status_code).json()["message"]
    assert sandbox.mail_count() == 3
    assert bigin.send_mail().status_code == 200


def test_an_emails_list_that_never_answers(sandbox, bigin: Client):
    sandbox.settings(emails_outage="timeout")
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{sandbox.url}/bigin/v2/Contacts/{ADA}/Emails", headers=bigin.headers, timeout=0.2)
    assert bigin.send_mail().status_code == 200


def test_a_client_that_dies_in_its_request_is_no_error_of_the_sandbox(sandbox, bigin: Client, caplog):
    begun = (
        f"POST /bigin/v2/Contacts/{ADA}/actions/send_mail HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {bigin.headers['Authorization']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    )
    with socket.create_connection(("127.0.0.1", int(sandbox.url.rsplit(":", 1)[1]))) as connection:
        connection.sendall(begun.encode())
    while not sandbox.statuses()["400"]:
        pass
    assert sandbox.mail_count() == 0
    assert caplog.records == []


def test_an_answer_that_trickles(sandbox: SandboxControl, bigin: Client):
    sandbox.fault("users", "trickle", seconds=0.001)
    begun = time.monotonic()
    answer = bigin.get("/users", params={"type": "CurrentUser"})
    assert answer.json()["users"]
    assert time.monotonic() - begun >= 0.001 * len(answer.content)


def test_an_error_without_a_status(sandbox: SandboxControl, bigin: Client):
    sandbox.settings(error_status=False)
    assert bigin.get("/nowhere").json().keys() == {"code", "details", "message"}
    sandbox.fault("send_mail", "limit_reached")
    assert bigin.send_mail().json()["data"][0].keys() == {"code", "details", "message"}
    sandbox.fault("send_mail", "502_html")
    assert "502" in bigin.send_mail().text
