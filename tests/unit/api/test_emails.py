from __future__ import annotations

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.api.emails import SCHEDULED_VIEW, VIEWS, list_emails, parse_email, single_email
from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.api.records import RecordRef

ADA = RecordRef("Contacts", "5000000000000000101")
ENTRY = {
    "message_id": "m1",
    "time": "2026-10-07T03:21:34+03:00",
    "subject": "Hi",
    "to": [{"user_name": "Ada", "email": "a@example.org"}, {"email": "b@example.org"}],
    "cc": None,
    "sent": True,
}


@pytest.fixture
def client(hook):
    return hook.get_conn()


@pytest.fixture
def send(client):
    def send(number=1, **changes):
        fields = {
            "from_email": "ada@example.com",
            "to": "ada.lovelace@example.org",
            "subject": "Hi",
            **changes,
        }
        mail = Mail.compose(**fields)
        return [client.send_mail(*ADA, mail).message_id for _ in range(number)]

    return send


def ids(listed):
    return [email.message_id for email in listed.emails]


# ---- whole lists ----


def test_an_empty_list_is_whole(client):
    listed = list_emails(client, ADA)
    assert (listed.emails, listed.gap) == ((), None)


@pytest.mark.parametrize("paging", ["next_index", "page_token", "page"])
@pytest.mark.parametrize("number", [1, 10, 11, 23])
def test_every_way_of_paging_is_followed_to_the_end(client, sandbox, send, paging, number):
    sandbox.settings(emails_paging=paging)
    sent = send(number)
    listed = list_emails(client, ADA)
    assert (ids(listed), listed.gap) == (sent[::-1], None)
    assert sandbox.counts()["emails"] == 2 * -(-number // 10), "each page of each view once"


def test_two_thousand_are_the_most(client, sandbox, send, monkeypatch):
    monkeypatch.setattr("airflow_provider_bigin.api.emails.MAX_ENTRIES", 20)
    send(20)
    assert list_emails(client, ADA).gap is None
    send(1)
    listed = list_emails(client, ADA)
    assert listed.gap == "its record has more than 20 e-mails to look through"
    assert len(listed.emails) == 20


def test_a_default_view_that_stays_empty_hides_nothing(client, sandbox, send):
    sandbox.settings(emails_default_empty=True)
    sent = send(2)
    assert ids(list_emails(client, ADA)) == sent[::-1]


def test_a_view_that_the_account_refuses_tells_nothing(client, sandbox, send):
    sandbox.settings(emails_type=False)
    sent = send(2)
    listed = list_emails(client, ADA, views=(SCHEDULED_VIEW, *VIEWS))
    assert (ids(listed), listed.gap) == (sent[::-1], None)


@pytest.mark.parametrize("skip", [0, 1, 2])
def test_an_error_that_may_pass_is_raised_in_either_view(client, sandbox, send, skip):
    send()
    sandbox.fault("emails", "500_before", times=None, skip=skip)
    if skip < 2:
        with pytest.raises(errors.BiginServerError):
            list_emails(client, ADA)
    else:
        assert list_emails(client, ADA).gap is None


def test_a_view_that_may_not_be_read_is_not_an_empty_one(client, sandbox, send):
    send()
    sandbox.fault("emails", "scope_mismatch", times=None, skip=1)
    with pytest.raises(errors.BiginScopeError):
        list_emails(client, ADA)


def test_an_empty_answer_that_is_not_a_204_is_no_empty_list(client, sandbox, send):
    send()
    sandbox.fault("emails", "empty_200", times=None)
    with pytest.raises(errors.BiginServerError, match="empty"):
        list_emails(client, ADA)


def test_the_default_view_has_to_be_readable(client, sandbox):
    sandbox.settings(emails_outage="plan")
    with pytest.raises(errors.BiginInvalidRequestError):
        list_emails(client, ADA)


def test_a_list_that_wants_to_be_told_its_fields_is_told_from_then_on(client, sandbox, send):
    sandbox.settings(emails_fields_required=True)
    sent = send(11)
    listed = list_emails(client, ADA)
    assert (ids(listed), listed.gap) == (sent[::-1], None)
    assert listed.emails[0].people == ("ada.lovelace@example.org",)
    assert sandbox.counts()["emails"] == 1 + 4


# ---- gaps ----


@pytest.mark.parametrize(
    ("settings", "number", "gap"),
    [
        ({"emails_key": "unknown"}, 1, "unknown shape"),
        ({"emails_entries": "texts"}, 1, "unknown shape"),
        ({"emails_paging": "none"}, 1, "no way to read them"),
        ({"emails_info": False}, 10, "does not say whether it continues"),
        ({"emails_info": False}, 9, None),
    ],
)
def test_what_may_hide_e_mails_is_a_gap(client, sandbox, send, settings, number, gap):
    sandbox.settings(**settings)
    send(number)
    told = list_emails(client, ADA).gap
    assert told is None if gap is None else gap in told


def test_a_page_that_expires_begins_the_view_again(client, sandbox, send):
    sandbox.settings(emails_paging="page_token")
    sent = send(25)
    sandbox.fault("emails", "page_expired", skip=2)
    listed = list_emails(client, ADA)
    assert (ids(listed), listed.gap) == (sent[::-1], None)
    assert sandbox.counts()["emails"] == 3 + 3 + 3


def test_pages_that_always_expire_are_a_gap(client, sandbox, send):
    sandbox.settings(emails_paging="page_token")
    send(11)
    sandbox.fault("emails", "page_expired", skip=1)
    sandbox.fault("emails", "page_expired", skip=2)
    listed = list_emails(client, ADA)
    assert "expire" in listed.gap
    assert len(listed.emails) == 11, "the other view shows all"


class Pages:
    """List responses that were never seen from a real account."""

    emails_need_fields = False

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def read(self, path, *, params):
        self.asked.append(params)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def entries(*numbers):
    return [{**ENTRY, "message_id": str(number)} for number in numbers]


@pytest.mark.parametrize(
    ("answers", "gap"),
    [
        pytest.param([{"Emails": entries(1)}], None, id="short, no info"),
        pytest.param([{"Emails": []}], None, id="empty list"),
        pytest.param([{}], "unknown shape", id="empty object"),
        pytest.param([[]], "unknown shape", id="a bare list"),
        pytest.param([{"Emails": None}], "unknown shape", id="no list"),
        pytest.param([{"Emails": entries(1), "info": []}], "unknown shape", id="info is a list"),
        pytest.param([{"Emails": entries(1), "info": {"has_more": True}}], "unknown shape", id="other info"),
        pytest.param([{"Emails": entries(1), "info": {"more_records": "true"}}], "unknown shape", id="text"),
        pytest.param([{"Emails": entries(1), "info": {"count": 1, "per_page": 10}}], None, id="counts"),
        pytest.param([{"Emails": entries(1, 2), "info": {"per_page": 2}}], "continues", id="full page"),
        pytest.param([{"Emails": entries(1), "info": {"more_records": 1}}], "unknown shape", id="a number"),
        pytest.param(
            [{"Emails": entries(1), "info": {"more_records": True, "next_index": None}}], "no way", id="null"
        ),
        pytest.param(
            [{"Emails": entries(1), "info": {"more_records": True, "next_index": "a"}}],
            "nothing new",
            id="the same page again",
        ),
        pytest.param(
            [
                {"Emails": entries(1), "info": {"more_records": True, "next_index": "a"}},
                {"Emails": entries(2), "info": {"more_records": True, "next_index": "a"}},
            ],
            "leads back",
            id="the same index again",
        ),
        pytest.param(
            [
                {"Emails": entries(1), "info": {"more_records": True, "page": 1}},
                {"Emails": entries(2), "info": {"more_records": True, "page": 1}},
            ],
            "leads back",
            id="page is ignored",
        ),
        pytest.param(
            [{"Emails": entries(1), "info": {"more_records": True, "page": 1}}, None],
            "nothing new",
            id="an announced page that is not there",
        ),
        pytest.param(
            [
                {"Emails": entries(1), "info": {"next_index": "a"}},
                {"Emails": entries(2), "info": {"more_records": False, "next_index": "b"}},
            ],
            None,
            id="an index is followed unless told that it is the end",
        ),
    ],
)
def test_shapes(answers, gap):
    told = list_emails(Pages(*answers), ADA, views=(None,)).gap
    assert told is None if gap is None else gap in told


# ---- the horizon ----


def test_what_is_older_than_the_horizon_is_not_read(client, sandbox, send):
    send(30)
    sandbox.advance(1000)
    horizon = sandbox.now() - 500
    send(1)
    assert list_emails(client, ADA, horizon=horizon).gap is None
    assert sandbox.counts()["emails"] == 2 * 2, "after two pages of each view the order is known"
    assert len(list_emails(client, ADA).emails) == 31


@pytest.mark.parametrize("setting", [{"emails_utc_offset": None}, {"emails_missing": ["time"]}])
def test_without_readable_times_the_whole_list_is_read(client, sandbox, send, setting):
    sandbox.settings(**setting)
    sent = send(31)
    sandbox.advance(1000)
    assert set(ids(list_emails(client, ADA, horizon=sandbox.now()))) == set(sent)


def test_a_list_in_another_order_is_read_to_its_end():
    old, new = {**ENTRY, "time": "2020-01-01T00:00:00Z"}, {**ENTRY, "time": "2030-01-01T00:00:00Z"}
    pages = [
        {"data": [{**item, "message_id": str(number)}], "info": {"more_records": number < 4, "page": number}}
        for number, item in enumerate((old, new, old, new), start=1)
    ]
    assert len(list_emails(Pages(*pages), ADA, views=(None,), horizon=1.7e9).emails) == 4


def test_a_full_last_page_behind_the_horizon_is_no_gap(client, sandbox, send):
    sandbox.settings(emails_info=False)
    send(10)
    sandbox.advance(1000)
    assert list_emails(client, ADA, horizon=sandbox.now() - 500).gap is None
    assert list_emails(client, ADA, horizon=sandbox.now() - 1500).gap is not None


# ---- entries ----


def test_an_entry():
    email = parse_email(ENTRY)
    assert (email.message_id, email.time, email.subject) == ("m1", 1791332494.0, "Hi")
    assert (email.people, email.is_sent, email.raw) == (("a@example.org", "b@example.org"), True, ENTRY)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-10-07T00:21:34Z", 1791332494.0),
        ("2026-10-07T03:21:34+0300", 1791332494.0),
        ("2026-10-07T03:21:34", None),
        ("2026-10-07", None),
        ("yesterday", None),
        ("99999-01-01T00:00:00Z", None),
        ("", None),
        (None, None),
        (1791332494, None),
    ],
)
def test_times(text, time):
    assert parse_email({**ENTRY, "time": text}).time == time


@pytest.mark.parametrize(
    ("changes", "people"),
    [
        ({"to": {"email": "x@example.org"}}, ("x@example.org",)),
        ({"cc": [{"email": "x@example.org"}]}, ("a@example.org", "b@example.org", "x@example.org")),
        ({"cc": []}, ("a@example.org", "b@example.org")),
        ({"cc": {}}, ("a@example.org", "b@example.org")),
        ({"to": None}, None),
        ({"to": []}, None),
        ({"to": "x@example.org"}, None),
        ({"to": [{"email": "x@example.org"}, "y@example.org"]}, None),
        ({"to": [{"user_name": "X"}]}, None),
        ({"cc": ["x@example.org"]}, None),
    ],
)
def test_people(changes, people):
    assert parse_email({**ENTRY, **changes}).people == people


@pytest.mark.parametrize("message_id", [None, "", 7, ["m1"]])
def test_an_entry_without_an_id_has_none(message_id):
    assert parse_email({**ENTRY, "message_id": message_id}).message_id is None


def test_an_entry_of_nothing():
    email = parse_email({})
    assert (email.message_id, email.time, email.subject, email.people) == (None,) * 4
    assert email.is_sent


@pytest.mark.parametrize("nothing", ["null", "array", "object"])
def test_whatever_stands_for_nothing_in_an_entry(client, sandbox, send, nothing):
    sandbox.settings(emails_empty=nothing)
    send()
    [email] = list_emails(client, ADA).emails
    assert email.people == ("ada.lovelace@example.org",)


def test_the_e_mails_of_a_companys_contacts(client, send):
    [sent] = send()
    listed = client.get_emails("Companies", "5000000000000000201", type="all_contacts_sent_crm_emails")
    assert [entry["message_id"] for entry in listed] == [sent]


def test_received_and_scheduled_mails(client, sandbox, send):
    (sent,) = send()
    (scheduled,) = send(scheduled_time="2096-12-24T18:00:00+01:00")
    received = sandbox.add_mail(*ADA, received=True, subject="Re: Hi")
    emails = list_emails(client, ADA, views=(SCHEDULED_VIEW, *VIEWS)).emails
    assert {email.message_id: email.is_sent for email in emails} == {
        scheduled: True,
        sent: True,
        received: False,
    }


@pytest.mark.parametrize(
    ("answer", "is_found"),
    [
        ({"Emails": [ENTRY]}, True),
        ({"email_related_list": ENTRY}, True),
        ({"data": [{"message_id": "m2"}, ENTRY]}, True),
        (ENTRY, True),
        ({"data": [{"message_id": "m2"}]}, False),
        ({"data": []}, False),
        ({"info": {}}, False),
        ([ENTRY], False),
        (None, False),
    ],
)
def test_a_single_e_mail_in_any_shape(answer, is_found):
    assert single_email(answer, "m1") == (ENTRY if is_found else None)
