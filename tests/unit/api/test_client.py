from __future__ import annotations

import json
import socket
import threading
import time
import tracemalloc
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from urllib3.connection import HTTPConnection

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.api.clock import SystemClock
from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.hooks.bigin import BiginHook

ADA = "5000000000000000101"
MAIL = Mail.compose(
    from_email="ada@example.com", to="ada.lovelace@example.org", subject="Hello", content="<p>Hi</p>"
)


@pytest.fixture
def client(hook):
    return hook.get_conn()


def test_a_mail_arrives_with_every_field(client, sandbox):
    mail = Mail.compose(
        from_email="Ada Airflow <ada@example.com>",
        to='"Lovelace, Ada" <ada.lovelace@example.org>, grace.hopper@example.org',
        cc="cc@example.org",
        bcc="bcc@example.org",
        reply_to="help@example.com",
        subject="Grüße",
        content="<p>Hi</p>",
        org_email=True,
        scheduled_time="2036-12-24T18:00:00+01:00",
    )
    sent = client.send_mail("Contacts", ADA, mail)
    (arrived,) = sandbox.mails()
    assert arrived["message_id"] == sent.message_id
    assert (arrived["module"], arrived["record_id"], arrived["state"]) == ("Contacts", ADA, "scheduled")
    assert arrived["request"] == {"data": [mail.as_json()]}


@pytest.mark.parametrize(
    ("module", "record_id"), [("Companies", "5000000000000000201"), ("Deals", "5000000000000000301")]
)
def test_the_other_modules_send_too(client, sandbox, module, record_id):
    assert client.send_mail(module, record_id, MAIL).message_id == sandbox.mails(record_id)[0]["message_id"]


@pytest.mark.parametrize(
    ("fault", "arrives"),
    [
        ("lost_answer", True),
        ("dropped", False),
        ("500_before", False),
        ("500_after", True),
        ("502_html", False),
        ("502_html_after", True),
        ("503_before", False),
        ("truncated", True),
        ("empty_200", False),
        ("success_without_id", True),
        ("success_with_odd_id", True),
        ("too_large", True),
        ("too_deep", True),
        ("custom_error", False),
        ("custom_error_after", True),
    ],
)
def test_an_answer_that_does_not_tell_is_an_unknown_outcome(client, sandbox, fault, arrives):
    sandbox.fault("send_mail", fault)
    with pytest.raises(
        errors.BiginOutcomeUnknownError, match=f"POST /bigin/v2/Contacts/{ADA}/actions/send_mail"
    ) as error:
        client.send_mail("Contacts", ADA, MAIL)
    assert error.value.sent == "unknown"
    assert len(sandbox.mails()) == arrives
    assert sandbox.counts()["send_mail"] == 1


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ("429_concurrency", errors.BiginRateLimitError),
        ("429_credits", errors.BiginCreditLimitError),
        ("429_plain", errors.BiginRateLimitError),
        ("daily_limit", errors.BiginDailyLimitError),
        ("scope_mismatch", errors.BiginScopeError),
        ("record_locked", errors.BiginRecordLockedError),
        ("item_error", errors.BiginValidationError),
    ],
)
def test_a_refusal_is_surely_not_sent(client, sandbox, fault, error_class):
    sandbox.fault("send_mail", fault)
    with pytest.raises(error_class) as error:
        client.send_mail("Contacts", ADA, MAIL)
    assert error.value.sent == "no"
    assert sandbox.mails() == []


def test_a_slow_answer_is_an_unknown_outcome(sandbox, connect, clock):
    client = BiginHook(connect(sandbox, timeout="0.2")).get_conn()
    sandbox.fault("send_mail", "slow", seconds=1)
    with pytest.raises(errors.BiginOutcomeUnknownError, match="ReadTimeout"):
        client.send_mail("Contacts", ADA, MAIL)


def test_a_server_that_is_not_there_took_nothing(sandbox, connect, clock):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    client = BiginHook(connect(sandbox, api_domain=f"http://127.0.0.1:{port}")).get_conn()
    with pytest.raises(
        errors.BiginConnectionError, match=r"Check that this machine can reach http://127\.0\.0\.1"
    ) as error:
        client.send_mail("Contacts", ADA, MAIL)
    assert error.value.sent == "no"


def test_a_redirect_is_not_followed_with_the_token(sandbox, connect, clock):
    requests = []

    def answer(server):
        for _ in range(1):
            peer, _ = server.accept()
            with peer:
                requests.append(peer.recv(65536))
                peer.sendall(
                    f"HTTP/1.1 307 Moved\r\nLocation: {sandbox.url}\r\nContent-Length: 0\r\n\r\n".encode()
                )

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        client = BiginHook(
            connect(sandbox, api_domain=f"http://127.0.0.1:{server.getsockname()[1]}")
        ).get_conn()
        with pytest.raises(errors.BiginOutcomeUnknownError):
            client.send_mail("Contacts", ADA, MAIL)
        thread.join(10)
    assert b"Zoho-oauthtoken" in requests[0]
    assert sandbox.counts()["send_mail"] == 0


def test_a_refused_token_is_renewed_once(client, sandbox):
    client.send_mail("Contacts", ADA, MAIL)
    sandbox.expire_tokens()
    client.send_mail("Contacts", ADA, MAIL)
    assert (sandbox.counts()["token"], len(sandbox.mails())) == (2, 2)


def test_a_token_that_is_always_refused_is_not_renewed_for_ever(client, sandbox):
    sandbox.fault("send_mail", "invalid_token", times=None)
    with pytest.raises(errors.BiginTokenRefusedError, match="region"):
        client.send_mail("Contacts", ADA, MAIL)
    assert sandbox.counts()["token"] == 2


def test_a_read_does_not_ask_for_token_after_token(client, sandbox):
    sandbox.fault("users", "invalid_token", times=None)
    with pytest.raises(errors.BiginTokenRefusedError):
        client.get_current_user()
    assert sandbox.counts()["token"] == 2


def test_before_post_is_called_twice_before_each_request(client, sandbox):
    sandbox.fault("send_mail", "invalid_token")
    calls = []
    client.send_mail("Contacts", ADA, MAIL, before_post=lambda: calls.append(sandbox.counts()["send_mail"]))
    assert calls == [0, 0, 1, 1]


def test_blocked_recipients_are_reported(client, sandbox, caplog):
    sandbox.settings(blocked_addresses=["grace.hopper@example.org"])
    mail = Mail.compose(from_email="ada@example.com", to="ada.lovelace@example.org, Grace.Hopper@example.org")
    sent = client.send_mail("Contacts", ADA, mail)
    assert [email.lower() for email, _ in sent.blocked] == ["grace.hopper@example.org"]
    assert "left out" in caplog.text


def test_a_mail_whose_recipients_are_all_blocked_is_a_failure(client, sandbox):
    sandbox.settings(blocked_addresses=["ada.lovelace@example.org"])
    with pytest.raises(errors.BiginValidationError, match="none of them got the mail"):
        client.send_mail("Contacts", ADA, MAIL)


@pytest.mark.parametrize("blocked", ["ADA.Lovelace@Example.org", "ada.lovelace@example.org"])
def test_a_mail_that_only_a_copy_of_arrives_is_a_failure(client, sandbox, blocked):
    sandbox.settings(blocked_addresses=[blocked])
    mail = Mail.compose(
        from_email="ada@example.com",
        to="Ada.lovelace@example.org",
        cc="cc@example.org",
        bcc="audit@example.org",
    )
    with pytest.raises(errors.BiginValidationError, match="none of them got the mail") as error:
        client.send_mail("Contacts", ADA, mail)
    assert error.value.sent == "no"


def test_a_refused_token_is_renewed_without_a_status_too(client, sandbox):
    client.get_current_user()
    sandbox.settings(error_status=False)
    sandbox.expire_tokens()
    assert client.send_mail("Contacts", ADA, MAIL).message_id
    assert len(sandbox.mails()) == 1


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ("limit_reached", errors.BiginDailyLimitError),
        ("daily_limit", errors.BiginDailyLimitError),
        ("record_locked", errors.BiginRecordLockedError),
    ],
)
def test_a_refusal_without_a_status_is_surely_not_sent(client, sandbox, fault, error_class):
    sandbox.settings(error_status=False)
    sandbox.fault("send_mail", fault)
    with pytest.raises(error_class) as error:
        client.send_mail("Contacts", ADA, MAIL)
    assert error.value.sent == "no"


def test_a_record_that_does_not_exist(client):
    with pytest.raises(
        errors.BiginNotFoundError, match=r"^No Contacts record 4999999999999999999; is the module right\?"
    ):
        client.send_mail("Contacts", "4999999999999999999", MAIL)


def test_a_sender_that_is_not_allowed(client):
    mail = Mail.compose(from_email="stranger@example.net", to="ada.lovelace@example.org")
    with pytest.raises(errors.BiginValidationError, match="from"):
        client.send_mail("Contacts", ADA, mail)


def test_an_opted_out_contact(client, sandbox):
    (opted_out,) = sandbox.add_records("Contacts", [{"Email": "no@example.org", "Email_Opt_Out": True}])
    with pytest.raises(errors.BiginOptedOutError, match="opted out of e-mail") as error:
        client.send_mail("Contacts", opted_out, MAIL)
    assert not error.value.retryable
    assert (error.value.code, error.value.status) == ("NO_PERMISSION", 403)
    assert sandbox.counts()["records"] == 1


def test_a_permission_that_has_nothing_to_do_with_opting_out(client, sandbox):
    sandbox.fault("send_mail", "no_permission")
    with pytest.raises(errors.BiginPermissionError, match="permission denied") as error:
        client.send_mail("Contacts", ADA, MAIL)
    assert not isinstance(error.value, errors.BiginOptedOutError)


@pytest.mark.parametrize("fault", ["scope_mismatch", "dropped", "500_before", "empty_200", "too_deep"])
def test_an_opt_out_that_cannot_be_read_is_a_permission_like_others(client, sandbox, fault):
    sandbox.fault("send_mail", "no_permission")
    sandbox.fault("records", fault, times=None)
    with pytest.raises(errors.BiginPermissionError, match="permission denied") as error:
        client.send_mail("Contacts", ADA, MAIL)
    assert error.value.sent == "no"


def test_only_contacts_are_asked_whether_they_opted_out(client, sandbox):
    sandbox.fault("send_mail", "no_permission")
    with pytest.raises(errors.BiginPermissionError):
        client.send_mail("Pipelines", "5000000000000000301", MAIL)
    assert sandbox.counts()["records"] == 0


@pytest.mark.parametrize("key", ["from_address", "from_addresses"])
def test_from_addresses_under_either_key(client, sandbox, key):
    sandbox.settings(from_addresses_key=key)
    assert {address["email"] for address in client.get_from_addresses()} == {
        "ada@example.com",
        "team@example.com",
    }


def test_files_are_uploaded_and_attached(client, sandbox, tmp_path: Path):
    for name in ("a report.html", "b.csv"):
        (tmp_path / name).write_text(name)
    ids = client.upload_files([tmp_path / "a report.html", tmp_path / "b.csv"])
    mail = Mail.compose(from_email="ada@example.com", to="ada.lovelace@example.org", attachments=ids)
    client.send_mail("Contacts", ADA, mail)
    assert [attachment["id"] for attachment in sandbox.mails()[0]["attachments"]] == ids
    assert len(set(ids)) == 2


def test_an_upload_is_repeated_after_a_server_error(client, sandbox, tmp_path: Path):
    (tmp_path / "a.txt").write_text("a")
    sandbox.fault("files", "500_before")
    assert len(client.upload_files([tmp_path / "a.txt"])) == 1


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (None, "there is no file"),
        (0, "is empty"),
        (20 * 1024 * 1024 + 1, "20,971,521 bytes, but Bigin allows 20,971,520"),
    ],
)
def test_sizes_are_checked_before_anything_is_read(client, sandbox, tmp_path: Path, size, message):
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text("x")
    if size is not None:
        with bad.open("wb") as file:
            file.truncate(size)
    with pytest.raises(errors.BiginValidationError, match=message):
        client.upload_files([good, bad])
    assert sandbox.counts()["files"] == 0


@pytest.mark.parametrize("key", ["Emails", "email_related_list", "data"])
def test_emails_of_a_record_over_pages_and_under_any_key(client, sandbox, key):
    sandbox.settings(emails_key=key)
    ids = [client.send_mail("Contacts", ADA, MAIL).message_id for _ in range(23)]
    assert {email["message_id"] for email in client.get_emails("Contacts", ADA)} == set(ids)
    assert sandbox.counts()["emails"] == 2 * 3, "each page of each view once"
    email = client.get_email("Contacts", ADA, ids[0])
    assert email["content"] == MAIL.content
    assert client.get_email("Contacts", ADA, "0" * 64) is None


def test_records(client, sandbox):
    sandbox.add_contacts(450)
    contacts = list(client.get_records("Contacts", fields=["Email"]))
    assert len({contact["id"] for contact in contacts}) == len(contacts) >= 450
    assert client.get_record("Contacts", ADA)["Email"] == "ada.lovelace@example.org"
    assert client.get_record("Contacts", "4999999999999999999") is None
    (found,) = client.search_records("Contacts", email="ada.lovelace@example.org")
    assert found["id"] == ADA
    assert list(client.search_records("Contacts", email="nobody@example.org")) == []


def test_a_search_has_pages_without_tokens(client, sandbox):
    sandbox.add_records(
        "Contacts", [{"Last_Name": f"Twin {number}", "City": "Rome"} for number in range(450)]
    )
    found = list(client.search_records("Contacts", criteria="(City:equals:Rome)"))
    assert len({record["id"] for record in found}) == len(found) == 450


@pytest.mark.parametrize(
    ("fault", "says"),
    [("empty_page", "is empty"), ("same_page", "was already read"), ("same_page_token", "was already read")],
)
def test_record_lists_that_lead_nowhere_end(client, sandbox, fault, says):
    sandbox.fault("records", fault, times=9)
    with pytest.raises(errors.BiginServerError, match=says):
        list(client.get_records("Contacts", fields=["Email"]))
    assert sandbox.counts()["records"] <= 2


def test_a_record_list_has_an_end(client, sandbox, monkeypatch):
    monkeypatch.setattr("airflow_provider_bigin.api.client.MAX_PAGES", 2)
    sandbox.add_contacts(450)
    records = client.get_records("Contacts", fields=["Email"], per_page=100)
    with pytest.raises(errors.BiginServerError, match="more than 2 pages"):
        list(records)
    assert sandbox.counts()["records"] == 2


@pytest.mark.parametrize("search", [{}, {"email": "a@b.c", "word": "ada"}])
def test_a_search_is_for_exactly_one_thing(client, search):
    with pytest.raises(errors.BiginInvalidRequestError, match="exactly one"):
        client.search_records("Contacts", **search)


@pytest.mark.parametrize(
    "path", ["../x", "Contacts/../../x", "https://evil.example", "a//b", "a b", "a?b=c", "%2e%2e/x", ""]
)
def test_run_stays_below_the_api(client, sandbox, path):
    with pytest.raises(errors.BiginInvalidRequestError, match="path"):
        client.run("GET", path)
    assert sum(sandbox.counts().values()) == 0


def test_run_calls_any_endpoint(client):
    assert client.run("get", "users", params={"type": "CurrentUser"})["users"]


def test_reads_are_repeated_while_it_may_help(client, sandbox, clock):
    sandbox.fault("users", "500_before", times=2)
    assert client.get_current_user()["email"]
    sandbox.fault("users", "429_credits", times=None)
    with pytest.raises(errors.BiginCreditLimitError):
        client.get_current_user()
    assert sandbox.counts()["users"] == 4


def test_the_time_is_bigins(client, sandbox):
    sandbox.advance(5000)
    assert abs(client.server_time() - sandbox.now()) < 2
    assert sandbox.counts()["send_mail"] == 0


def test_bigins_time_does_not_follow_our_own_clock(sandbox, connect, monkeypatch):
    class SteppedClock(SystemClock):
        step = 0.0

        def time(self):
            return super().time() + self.step

    hook = BiginHook(connect(sandbox))
    hook.clock = SteppedClock()
    client = hook.get_conn()
    client.get_current_user()
    hook.clock.step = 7200.0
    assert abs(client.server_time() - sandbox.now()) < 2


@pytest.mark.parametrize("date", ["missing", "nonsense"])
def test_a_date_that_is_none_costs_one_request_and_no_mail(client, sandbox, date):
    sandbox.settings(date=date)
    assert client.server_time() is None
    assert client.send_mail("Contacts", ADA, MAIL).message_id
    assert client.server_time() is None
    sandbox.settings(date="right")
    assert client.server_time() is None, "it is not asked for again"
    client.get_current_user()
    assert abs(client.server_time() - sandbox.now()) < 2


@pytest.mark.parametrize(
    ("skew", "is_believed"), [(3600, True), (-3600, True), (90000, False), (-90000, False)]
)
def test_a_date_that_is_more_than_a_day_off_is_none(client, sandbox, skew, is_believed):
    sandbox.settings(date_skew=skew)
    time = client.server_time()
    assert (time is not None) is is_believed
    assert time is None or abs(time - sandbox.now() - skew) < 2


def test_a_date_that_came_late_is_none(client, sandbox, clock, monkeypatch):
    """As if the process was frozen while the response was waiting in its socket."""
    request = client._session.request

    def freeze_after(*args, **kwargs):
        answer = request(*args, **kwargs)
        sandbox.advance(6)
        return answer

    client.get_current_user()
    monkeypatch.setattr(client._session, "request", freeze_after)
    client.get_current_user()
    assert abs(client.server_time() - sandbox.now()) < 2


@pytest.mark.parametrize("part", ["head", "body"])
def test_an_answer_that_trickles_ends_in_time(sandbox, connect, clock, part):
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + b" " * 400
    with trickling_server(answer, at_once=0 if part == "head" else 60) as url:
        client = BiginHook(connect(sandbox, timeout="0.5", api_domain=url)).get_conn()
        begun = time.monotonic()
        with pytest.raises(errors.BiginOutcomeUnknownError, match="ReadTimeout"):
            client.send_mail("Contacts", ADA, MAIL)
    assert time.monotonic() - begun < 10  # to the last byte, it takes longer


def test_a_token_that_trickles_ends_in_time(sandbox, connect, clock, monkeypatch):
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "none")
    sandbox.fault("token", "trickle", seconds=0.1)
    begun = time.monotonic()
    with pytest.raises(errors.BiginConnectionError, match="no response from the accounts server"):
        BiginHook(connect(sandbox, timeout="0.5")).get_conn().send_mail("Contacts", ADA, MAIL)
    assert time.monotonic() - begun < 10  # to the last byte, it takes longer


def test_who_is_connected_too_late_sends_nothing(sandbox, connect, monkeypatch):
    connect_at_last = HTTPConnection.connect

    def connect_slowly(connection):
        connect_at_last(connection)
        time.sleep(0.3)

    client = BiginHook(connect(sandbox, timeout="0.2")).get_conn()
    client._tokens.get()
    client.close()
    monkeypatch.setattr(HTTPConnection, "connect", connect_slowly)
    with pytest.raises(errors.BiginConnectionError) as error:
        client.send_mail("Contacts", ADA, MAIL)
    assert error.value.sent == "no"
    assert sandbox.mails() == []


def test_a_small_answer_that_becomes_a_large_one_costs_little_memory(client, sandbox):
    client.get_current_user()
    for call, ask in (
        ("users", client.get_current_user),
        ("token", lambda: client._tokens.renew(client._tokens.get())),
    ):
        sandbox.fault(call, "too_large", times=3)
        tracemalloc.start()
        try:
            with pytest.raises(errors.BiginServerError, match="larger than 10 MiB"):
                ask()
            assert tracemalloc.get_traced_memory()[1] < 50_000_000
        finally:
            tracemalloc.stop()
            sandbox.clear_faults()


@pytest.mark.parametrize(
    "head",
    [
        b"307 Moved\r\nLocation: http://[",
        b"307 Moved\r\nLocation: \xff\xfe",
        b"200",
        b"\x00\xff",
        b"200 OK\r\nContent-Length: 1, 2",
        b"200 OK\r\nContent-Length: -1",
        b"200 OK\r\nContent-Length: 9" + b"9" * 5000,
        b"200 OK\r\nContent-Encoding: gzip",
        b"200 OK\r\nContent-Encoding: " + b"gzip, " * 1000,
        b"200 OK\r\nTransfer-Encoding: chunked",
        b"200 OK\r\nContent-Type: text/html; charset=no-such",
        b"200 OK\r\nSet-Cookie: =; Expires=Fri, 99 Foo; Max-Age=x; Port=y; Version=z",
        b"200 OK\r\n" + b"X: y\r\n" * 500,
        b"200 OK\r\nX: " + b"y" * 100_000,
        b"200 OK\r\n\x00: \x00\r\n : \r\n:",
    ],
)
def test_an_answer_that_cannot_be_read_is_an_unknown_outcome(sandbox, connect, clock, head):
    answer = b"HTTP/1.1 " + head + b"\r\n\r\nzz\xff"
    with trickling_server(answer, at_once=len(answer)) as url:
        client = BiginHook(connect(sandbox, api_domain=url)).get_conn()
        with pytest.raises(errors.BiginOutcomeUnknownError):
            client.send_mail("Contacts", ADA, MAIL)


def test_what_bigin_says_is_quoted_in_one_line_and_not_at_any_length(sandbox, connect, clock):
    error = {
        "code": "C" * 9000,
        "message": "first\nsecond\u2028third \ud800 \x1b[31m" + "x" * 9000,
        "details": {"api_name": "n" * 9000},
        "status": "error",
    }
    body = json.dumps({"data": [error]}).encode()
    answer = b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with trickling_server(answer, at_once=len(answer)) as url:
        client = BiginHook(connect(sandbox, api_domain=url)).get_conn()
        with pytest.raises(errors.BiginError, match="first second third") as raised:
            client.send_mail("Contacts", ADA, MAIL)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1200


@contextmanager
def trickling_server(answer, at_once):
    """Answer one request: some bytes at once, then one every 50 ms."""

    def serve():
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(answer[:at_once])
            for byte in answer[at_once:]:
                connection.sendall(bytes([byte]))
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


def test_no_secret_in_any_text(client, sandbox):
    sandbox.fault("send_mail", "500_before")
    with pytest.raises(errors.BiginError) as error:
        client.send_mail("Contacts", ADA, MAIL)
    token = client._tokens.get()
    texts = (str(error.value), repr(error.value), repr(error.value.__cause__), repr(token), repr(client))
    connection = sandbox.connection()
    secrets = (token.value, connection["password"], connection["extra"]["refresh_token"])
    assert not [secret for secret in secrets for text in texts if secret in text]
