"""The ``Emails`` related list, from which a client learns the status of a mail."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import requests

from airflow_provider_bigin.sandbox.emails import sanitized
from tests.sandbox.conftest import ADA, COMPANY, GRACE, Client


def ids(answer, key: str = "Emails") -> list[str]:
    return [entry["message_id"] for entry in answer.json()[key]]


def test_no_mails(bigin: Client):
    answer = bigin.emails()
    assert (answer.status_code, answer.content) == (204, b"")


def test_an_entry(sandbox, bigin: Client):
    message_id = bigin.sent(
        cc=[{"user_name": "Team", "email": "team@example.com"}], bcc=[{"email": "secret@example.org"}]
    )
    answer = bigin.emails()
    assert "secret@example.org" not in answer.text
    [entry] = answer.json()["Emails"]
    assert "content" not in entry
    time = datetime.fromisoformat(entry["time"])
    assert abs(time.timestamp() - sandbox.now()) < 60
    assert time.microsecond == 0
    assert entry["message_id"] == message_id
    assert entry["subject"] == "Hello"
    assert entry["from"] == {"user_name": "Ada Airflow", "email": "ada@example.com"}
    assert entry["to"] == [{"user_name": "Ada Lovelace", "email": "ada.lovelace@example.org"}]
    assert entry["cc"] == [{"user_name": "Team", "email": "team@example.com"}]
    assert entry["status"] == [{"type": "sent"}]
    assert entry["sent"] is True
    assert entry["has_attachment"] is False
    assert answer.json()["info"] == {
        "per_page": 10,
        "count": 1,
        "next_index": None,
        "prev_index": "0",
        "more_records": False,
    }


@pytest.mark.parametrize(("setting", "nothing"), [("null", None), ("array", []), ("object", {})])
def test_without_cc_and_linked_record(sandbox, bigin: Client, setting, nothing):
    sandbox.settings(emails_empty=setting)
    bigin.sent()
    [entry] = bigin.emails().json()["Emails"]
    assert entry["cc"] == entry["linked_record"] == nothing


def test_only_the_records_own_mails_are_listed(bigin: Client):
    ada, grace = bigin.sent(ADA), bigin.sent(GRACE)
    assert ids(bigin.emails(ADA)) == [ada]
    assert ids(bigin.emails(GRACE)) == [grace]


def test_ten_a_page_with_an_opaque_index(bigin: Client):
    sent = [bigin.sent(subject=str(n)) for n in range(25)]
    pages, infos, index = [], [], "0"
    while index:
        answer = bigin.emails(index=index)
        pages.append(ids(answer))
        infos.append(answer.json()["info"])
        index = infos[-1]["next_index"]
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [message_id for page in pages for message_id in page] == sent[::-1]
    assert [info["more_records"] for info in infos] == [True, True, False]
    assert len(infos[0]["next_index"]) == 96
    assert infos[0]["prev_index"] == infos[1]["prev_index"] == "0"
    assert ids(bigin.emails(index=infos[2]["prev_index"])) == pages[1]


def test_a_mail_that_comes_meanwhile_does_not_shift_the_pages(bigin: Client):
    sent = [bigin.sent() for _ in range(11)]
    index = bigin.emails().json()["info"]["next_index"]
    bigin.sent()
    assert ids(bigin.emails(index=index)) == sent[:1]


@pytest.mark.parametrize("index", ["10", "2", "x" * 96])
def test_an_index_must_come_from_the_list(bigin: Client, index):
    bigin.sent()
    answer = bigin.emails(index=index)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")


def test_an_index_of_another_record_is_refused(bigin: Client):
    for _ in range(11):
        bigin.sent(ADA)
        bigin.sent(GRACE)
    index = bigin.emails(ADA).json()["info"]["next_index"]
    assert bigin.emails(GRACE, index=index).status_code == 400


@pytest.mark.parametrize("key", ["Emails", "email_related_list", "data"])
def test_the_lists_key(sandbox, bigin: Client, key):
    sandbox.settings(emails_key=key)
    message_id = bigin.sent()
    assert ids(bigin.emails(), key) == [message_id]
    assert bigin.get(f"/Contacts/{ADA}/Emails/{message_id}").json()[key][0]["message_id"] == message_id


def test_types(sandbox, bigin: Client):
    in_an_hour = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat(timespec="seconds")
    sent, scheduled = bigin.sent(), bigin.sent(scheduled_time=in_an_hour)
    assert ids(bigin.emails()) == [sent]
    assert ids(bigin.emails(type="sent_from_crm")) == [sent]
    [entry] = bigin.emails(type="scheduled_in_crm").json()["Emails"]
    assert (entry["message_id"], entry["sent"]) == (scheduled, False)
    assert entry["status"] == [{"type": "scheduled"}]
    assert datetime.fromisoformat(entry["time"]) == datetime.fromisoformat(in_an_hour)
    for kind in ("drafts", "user_emails"):
        assert bigin.emails(type=kind).status_code == 204
    assert bigin.emails(type="all").json()["code"] == "INVALID_DATA"
    sandbox.advance(3601)
    bigin.log_in()
    assert ids(bigin.emails()) == [scheduled, sent]
    assert bigin.emails(type="scheduled_in_crm").status_code == 204


def test_the_mails_of_a_companys_contacts(bigin: Client):
    in_an_hour = (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat(timespec="seconds")
    of_contact, of_company = bigin.sent(ADA), bigin.sent(COMPANY, module="Accounts")
    scheduled, _ = bigin.sent(ADA, scheduled_time=in_an_hour), bigin.sent(GRACE)
    assert ids(bigin.emails(COMPANY, "Accounts")) == [of_company]
    assert ids(bigin.emails(COMPANY, "Accounts", type="all_contacts_sent_crm_emails")) == [of_contact]
    assert ids(bigin.emails(COMPANY, "Accounts", type="all_contacts_scheduled_crm_emails")) == [scheduled]
    assert bigin.emails(COMPANY, "Accounts", type="all_contacts_draft_crm_emails").status_code == 204
    assert bigin.emails(ADA, type="all_contacts_sent_crm_emails").json()["code"] == "INVALID_DATA"


def test_the_mails_of_a_companys_contacts_come_in_pages(bigin: Client):
    sent = [bigin.sent(ADA) for _ in range(11)]
    query = {"type": "all_contacts_sent_crm_emails"}
    first = bigin.emails(COMPANY, "Accounts", **query)
    last = bigin.emails(COMPANY, "Accounts", index=first.json()["info"]["next_index"], **query)
    assert ids(first) + ids(last) == sent[::-1]


def test_a_bigin_that_takes_no_type(sandbox, bigin: Client):
    sandbox.settings(emails_type=False)
    message_id = bigin.sent()
    assert bigin.emails(type="sent_from_crm").json()["code"] == "INVALID_DATA"
    assert ids(bigin.emails()) == [message_id]


def test_a_default_view_that_stays_empty(sandbox, bigin: Client):
    sandbox.settings(emails_default_empty=True)
    message_id = bigin.sent()
    assert bigin.emails().status_code == 204
    assert ids(bigin.emails(type="sent_from_crm")) == [message_id]


def test_lag(sandbox, bigin: Client):
    sandbox.settings(emails_lag=20)
    message_id = bigin.sent()
    assert bigin.emails().status_code == 204
    sandbox.advance(19)
    assert bigin.emails(type="sent_from_crm").status_code == 204
    sandbox.advance(2)
    assert ids(bigin.emails()) == [message_id]


def test_a_single_mail_has_its_content(bigin: Client):
    message_id = bigin.sent(content="<p>Hi<!-- x --></p>", reply_to={"email": "desk@example.com"})
    [mail] = bigin.get(f"/Contacts/{ADA}/Emails/{message_id}").json()["Emails"]
    assert mail["content"] == "<p>Hi<!-- x --></p>"
    assert mail["reply_to"] == {"email": "desk@example.com"}
    assert "time" not in mail
    assert datetime.fromisoformat(mail["sent_time"])


def test_the_size_of_an_attachment_is_a_text(bigin: Client):
    upload = bigin.post("/files", files={"file": ("a.txt", b"abc")}).json()["data"][0]["details"]
    message_id = bigin.sent(attachments=[{"id": upload["id"]}])
    [mail] = bigin.get(f"/Contacts/{ADA}/Emails/{message_id}").json()["Emails"]
    assert mail["attachments"] == [{"id": upload["id"], "name": "a.txt", "size": "3"}]


def test_an_unknown_mail(bigin: Client):
    for message_id in ("0" * 64, bigin.sent(GRACE)):
        answer = bigin.get(f"/Contacts/{ADA}/Emails/{message_id}")
        assert answer.status_code == 400
        assert answer.json()["message"] == "the related id given seems to be invalid"


def test_a_bigin_without_single_mails(sandbox, bigin: Client):
    sandbox.settings(single_mail=False)
    answer = bigin.get(f"/Contacts/{ADA}/Emails/{bigin.sent()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "INVALID_URL_PATTERN")


def test_a_record_of_another_module(bigin: Client):
    assert bigin.emails(COMPANY).json()["code"] == "INVALID_DATA"
    assert bigin.emails(COMPANY, "Companies").json()["code"] == "INVALID_MODULE"


def test_opened_and_bounced(sandbox, bigin: Client):
    message_id = bigin.sent()

    def status():
        return bigin.emails().json()["Emails"][0]["status"]

    sandbox.set_status(message_id, "opened")
    sandbox.advance(60)
    sandbox.set_status(message_id, "opened")
    sent, opened = status()
    assert (sent["type"], opened["type"], opened["count"]) == ("sent", "opened", "2")
    first, last = (datetime.fromisoformat(opened[name]) for name in ("first_open", "last_open"))
    assert 59 <= (last - first).total_seconds() <= 62
    sandbox.set_status(message_id, "bounced", "no such user")
    assert status()[-1]["bounced_reason"] == "no such user"
    assert {"bounced_time", "category", "sub_category"} <= status()[-1].keys()
    sandbox.set_status(message_id, "teleported")
    assert status()[-1] == {"type": "teleported"}
    assert sandbox.mails()[0]["state"] == "teleported"


def test_rewritten_sender_and_recipients(sandbox, bigin: Client):
    sandbox.settings(rewrite_sender=True, reorder_recipients=True)
    bigin.sent(to=[{"email": "a@example.org"}, {"email": "b@example.org"}])
    [entry] = bigin.emails().json()["Emails"]
    assert entry["from"]["email"] != "ada@example.com"
    assert [address["email"] for address in entry["to"]] == ["B@EXAMPLE.ORG", "A@EXAMPLE.ORG"]
    assert sandbox.mails()[0]["to"] == [{"email": "a@example.org"}, {"email": "b@example.org"}]


@pytest.mark.parametrize(
    ("content", "left"),
    [
        ("<p>a<!-- marker --></p>", "<p>a</p>"),
        ('<p id="m" style="x">a</p>', "<p>a</p>"),
        ('a<span data-m="1"></span>', "a"),
        ("a<div><span> </span></div>", "a"),
        ('a<img src="x" alt="m"><br>b', "a<br>b"),
        ("<style>p {}</style><script>x</script>a &amp; &#228;", "a &amp; &#228;"),
    ],
)
def test_stripped_markup(sandbox, bigin: Client, content, left):
    sandbox.settings(strip_markup=True)
    html, text = bigin.sent(content=content), bigin.sent(content=content, mail_format="text")
    assert bigin.get(f"/Contacts/{ADA}/Emails/{html}").json()["Emails"][0]["content"] == left
    assert bigin.get(f"/Contacts/{ADA}/Emails/{text}").json()["Emails"][0]["content"] == content


def test_stripping_survives_any_markup():
    for broken in ("<", "<p", "</", "<!--", "<!--x", "&", "&#", "<p <b>", "</script>x"):
        assert isinstance(sanitized(broken), str)


@pytest.mark.parametrize(
    ("outage", "status", "code"),
    [
        ("500", 500, "INTERNAL_ERROR"),
        ("CANNOT_PROCESS", 400, "CANNOT_PROCESS"),
        ("429", 429, "TOO_MANY_REQUESTS"),
        ("scope", 401, "OAUTH_SCOPE_MISMATCH"),
        ("plan", 400, "FEATURE_NOT_SUPPORTED"),
    ],
)
def test_outage(sandbox, bigin: Client, outage, status, code):
    message_id = bigin.sent()
    sandbox.settings(emails_outage=outage)
    for answer in (bigin.emails(), bigin.get(f"/Contacts/{ADA}/Emails/{message_id}")):
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    sandbox.settings(emails_outage=None)
    assert ids(bigin.emails()) == [message_id]


def test_pages_as_live_bigin_has_them(sandbox, bigin: Client):
    sandbox.settings(emails_paging="page_token")
    sent = [bigin.sent() for _ in range(11)]
    first = bigin.emails().json()
    assert first["info"].keys() == {
        "page",
        "per_page",
        "count",
        "next_page_token",
        "previous_page_token",
        "page_token_expiry",
        "more_records",
    }
    token = first["info"]["next_page_token"]
    assert ids(bigin.emails(page_token=token)) == sent[:1]
    sandbox.advance(86401)
    bigin.log_in()
    answer = bigin.emails(page_token=token)
    assert (answer.status_code, answer.json()["code"]) == (400, "EXPIRED_VALUE")


def test_numbered_pages(sandbox, bigin: Client):
    sandbox.settings(emails_paging="page")
    sent = [bigin.sent() for _ in range(11)]
    assert bigin.emails().json()["info"] == {"page": 1, "per_page": 10, "count": 10, "more_records": True}
    assert ids(bigin.emails(page=2)) == sent[:1]
    assert bigin.emails(page=3).status_code == 204


def test_a_list_that_does_not_tell_how_it_goes_on(sandbox, bigin: Client):
    bigin.sent()
    sandbox.settings(emails_paging="none")
    assert bigin.emails().json()["info"] == {"per_page": 10, "count": 1, "more_records": True}
    sandbox.settings(emails_info=False)
    assert bigin.emails().json().keys() == {"Emails"}
    sandbox.settings(emails_entries="texts", emails_key="unknown")
    assert isinstance(bigin.emails().json()["unknown"][0], str)


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"emails_skew": -3}, -3),
        ({"emails_skew": 100}, 100),
        ({"emails_utc_offset": -5.5}, 0),
    ],
)
def test_times_in_the_list(sandbox, bigin: Client, settings, difference):
    sandbox.settings(**settings)
    bigin.sent()
    time = datetime.fromisoformat(bigin.emails().json()["Emails"][0]["time"])
    assert abs(time.timestamp() - sandbox.now() - difference) < 2


def test_times_of_whole_minutes_and_without_an_offset(sandbox, bigin: Client):
    sandbox.settings(emails_rounding=60, emails_utc_offset=None)
    bigin.sent()
    time = datetime.fromisoformat(bigin.emails().json()["Emails"][0]["time"])
    assert (time.second, time.tzinfo) == (0, None)


def test_what_a_list_may_leave_out(sandbox, bigin: Client):
    sandbox.settings(emails_missing=["message_id", "to", "time"], emails_subject_length=3)
    bigin.sent(subject="Hello")
    [entry] = bigin.emails().json()["Emails"]
    assert entry["subject"] == "Hel"
    assert not {"message_id", "to", "time"} & entry.keys()


def test_a_list_that_must_be_told_its_fields(sandbox, bigin: Client):
    sandbox.settings(emails_fields_required=True)
    message_id = bigin.sent()
    answer = bigin.emails()
    assert (answer.status_code, answer.json()["code"]) == (400, "REQUIRED_PARAM_MISSING")
    assert bigin.emails(fields="message_id,sent").json()["Emails"] == [
        {"message_id": message_id, "sent": True}
    ]


def test_a_footer(sandbox, bigin: Client):
    sandbox.settings(content_footer="<p>Sent with Bigin</p>")
    for content, shown in (("<p>a</p>", "<p>a</p><p>Sent with Bigin</p>"), (..., "<p>Sent with Bigin</p>")):
        message_id = bigin.sent(content=content)
        [mail] = bigin.get(f"/Contacts/{ADA}/Emails/{message_id}").json()["Emails"]
        assert mail["content"] == shown


def test_mails_that_did_not_come_over_the_api(sandbox, bigin: Client):
    received = sandbox.add_mail("Contacts", ADA, received=True, subject="Re: Hello")
    colleagues = sandbox.add_mail("Contacts", ADA, to=["x@example.org"], content="<p>m-0</p>", ago=3600)
    assert ids(bigin.emails()) == [received, colleagues]
    assert [entry["sent"] for entry in bigin.emails().json()["Emails"]] == [False, True]
    assert ids(bigin.emails(type="sent_from_crm")) == [colleagues]
    [mail] = bigin.get(f"/Contacts/{ADA}/Emails/{colleagues}").json()["Emails"]
    assert mail["content"] == "<p>m-0</p>"
    assert requests.get(f"{sandbox.url}/", timeout=10).ok, "the inbox shows them"
