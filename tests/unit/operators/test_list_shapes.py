"""
A lost response or a dead worker, with e-mail lists of every shape.

Whatever a list shows, nobody is mailed twice and no task is green without its mail. If the list is
conclusive, the mail is found or sent.
"""

from __future__ import annotations

import pytest

from airflow_provider_bigin.version_compat import AirflowFailException
from tests.unit.operators.rows import people, statuses

ADA = "5000000000000000101"
HOUR = 3600
UNREAD = {"single_mail": False}
TELLS, NEVER, IF_ABSENT, IF_SENT = (True, True), (False, False), (False, True), (True, False)

#: Settings of the sandbox, and whether the list is conclusive for a mail that was sent, or was not.
SHAPES = {
    "as documented": ({}, TELLS),
    "email_related_list": ({"emails_key": "email_related_list"}, TELLS),
    "data": ({"emails_key": "data"}, TELLS),
    "an unknown key": ({"emails_key": "unknown"}, NEVER),
    "entries that are texts": ({"emails_entries": "texts"}, NEVER),
    "page tokens": ({"emails_paging": "page_token"}, TELLS),
    "page numbers": ({"emails_paging": "page"}, TELLS),
    "more, and no way to it": ({"emails_paging": "none"}, IF_SENT),
    "more, and no way to it, contents unreadable": ({"emails_paging": "none", **UNREAD}, NEVER),
    "fields required": ({"emails_fields_required": True}, TELLS),
    "empty default view": ({"emails_default_empty": True}, TELLS),
    "no other view": ({"emails_type": False}, TELLS),
    "late into the list": ({"emails_lag": 60}, TELLS),
    "no ids": ({"emails_missing": ["message_id"]}, IF_ABSENT),
    "no people": ({"emails_missing": ["to", "cc"]}, TELLS),
    "no subjects": ({"emails_missing": ["subject"]}, TELLS),
    "no times": ({"emails_missing": ["time"]}, TELLS),
    "nothing but ids": ({"emails_missing": ["to", "cc", "subject", "time"]}, TELLS),
    "3 s early": ({"emails_skew": -3}, TELLS),
    "100 s late": ({"emails_skew": 100}, TELLS),
    "cut to minutes": ({"emails_rounding": 60}, TELLS),
    "offset of another zone": ({"emails_utc_offset": -7}, TELLS),
    "3 h early": ({"emails_skew": -3 * HOUR}, TELLS),
    "3 h late": ({"emails_skew": 3 * HOUR}, IF_SENT),
    "naive times": ({"emails_utc_offset": None}, TELLS),
    "no Date, clocks 5 s apart": ({"date": "missing", "emails_skew": 5}, TELLS),
    "cut subjects": ({"emails_subject_length": 3}, TELLS),
    "a footer": ({"content_footer": "<p>Sent with Zoho</p>"}, TELLS),
    "no markup": ({"strip_markup": True}, TELLS),
    "no markup and a footer": ({"strip_markup": True, "content_footer": "<p>Zoho</p>"}, IF_ABSENT),
    "contents unreadable": (UNREAD, TELLS),
    "contents unreadable, another sender": ({**UNREAD, "rewrite_sender": True}, TELLS),
    "contents unreadable, order and case of people": ({**UNREAD, "reorder_recipients": True}, TELLS),
    "contents unreadable, 3 s early": ({**UNREAD, "emails_skew": -3}, TELLS),
    "contents unreadable, cut to minutes": ({**UNREAD, "emails_rounding": 60}, TELLS),
    "contents unreadable, 3 h early": ({**UNREAD, "emails_skew": -3 * HOUR}, IF_ABSENT),
    "contents unreadable, no ids": ({**UNREAD, "emails_missing": ["message_id"]}, IF_ABSENT),
    "contents unreadable, cut subjects": ({**UNREAD, "emails_subject_length": 3}, IF_ABSENT),
    "contents unreadable, naive times": ({**UNREAD, "emails_utc_offset": None}, IF_ABSENT),
    "contents unreadable, no times": ({**UNREAD, "emails_missing": ["time"]}, IF_ABSENT),
    "contents unreadable, no people": ({**UNREAD, "emails_missing": ["to", "cc"]}, IF_ABSENT),
    "contents unreadable, cut subjects, no people": (
        {**UNREAD, "emails_subject_length": 3, "emails_missing": ["to", "cc"]},
        IF_ABSENT,
    ),
    "contents unreadable, nothing but ids": (
        {**UNREAD, "emails_missing": ["to", "cc", "subject", "time"]},
        NEVER,
    ),
}
pytestmark = pytest.mark.parametrize("store", ["store"], indirect=True)
shapes = pytest.mark.parametrize(("settings", "tells"), SHAPES.values(), ids=SHAPES)


@pytest.fixture
def file_others(sandbox):
    """File mails under a record so that its list has several pages."""

    def file(record_id):
        for minutes in range(12):
            sandbox.add_mail(
                "Contacts", record_id, to=["x@example.net"], subject=f"No. {minutes}", ago=90 + 60 * minutes
            )
        return 12

    return file


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "not sent"])
@shapes
def test_a_worker_that_died(make_instance, sandbox, kill_after, clock, settings, tells, is_sent, file_others):
    others = file_others(ADA)
    sandbox.settings(**settings)
    instance = make_instance(retries=2)
    kill_after(instance, 1, sent=is_sent)
    if tells[not is_sent]:
        message_id = instance.run_to_the_end(lambda: sandbox.advance(300))
        assert sandbox.mails()[0]["message_id"] == message_id
        assert sandbox.mail_count() == others + 1
    else:
        with pytest.raises(AirflowFailException, match="It is unknown whether"):
            instance.run_to_the_end(lambda: sandbox.advance(300))
        assert sandbox.mail_count() == others + is_sent


@shapes
def test_answers_that_got_lost(make_bulk_instance, sandbox, clock, settings, tells, file_others):
    rows = people(sandbox, 3)
    sent, not_sent, _ = (row["record_id"] for row in rows)
    sandbox.fault("send_mail", "lost_answer", record_id=sent)
    sandbox.fault("send_mail", "dropped", record_id=not_sent)
    others = {record_id: file_others(record_id) for record_id in (sent, not_sent)}
    sandbox.settings(**settings)
    instance = make_bulk_instance(rows, retries=2, fail_on="never")
    instance.run_to_the_end(lambda: sandbox.advance(300))
    delivered = ("sent", "already_sent")
    assert [status in delivered for status in statuses(instance)] == [*tells, True]
    counts = sandbox.mail_counts()
    assert [counts[row["record_id"]] - others.get(row["record_id"], 0) for row in rows] == [1, tells[1], 1]


class TestPaging:
    """Lists that have more pages but end early."""

    @pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "not sent"])
    @pytest.mark.parametrize("paging", ["next_index", "page_token", "page"])
    def test_mails_of_the_same_minute_on_many_pages(
        self, make_instance, sandbox, kill_after, clock, paging, is_sent
    ):
        sandbox.settings(emails_paging=paging)
        instance = make_instance()
        kill_after(instance, 1, sent=is_sent)
        for _ in range(45):
            sandbox.add_mail("Contacts", ADA, to=["x@example.net"], subject="News")
        message_id = instance.run_to_the_end()
        assert {mail["message_id"] for mail in sandbox.mails() if mail["subject"] == "Hello"} == {message_id}

    def test_a_page_that_expires_starts_the_look_again(self, make_instance, sandbox, kill_after, clock):
        sandbox.settings(emails_paging="page_token")
        instance = make_instance()
        kill_after(instance, 1)
        for _ in range(25):
            sandbox.add_mail("Contacts", ADA, to=["x@example.net"], subject="News")
        sandbox.fault("emails", "page_expired", skip=1)
        message_id = instance.run()
        assert {mail["message_id"] for mail in sandbox.mails() if mail["subject"] == "Hello"} == {message_id}

    @pytest.mark.parametrize("others", [9, 10])
    def test_a_full_last_page_that_says_nothing_of_a_next_one(
        self, make_instance, sandbox, kill_after, clock, others
    ):
        sandbox.settings(emails_info=False)
        instance = make_instance(retries=0)
        kill_after(instance, 1, sent=False)
        for _ in range(others):
            sandbox.add_mail("Contacts", ADA, to=["x@example.net"], subject="News")
        if others < 10:
            instance.run()
        else:
            with pytest.raises(AirflowFailException, match="does not say whether it continues"):
                instance.run()
        assert sandbox.mail_count() == others + (others < 10)

    def test_a_full_page_that_reaches_behind_the_window_is_enough(
        self, make_instance, sandbox, kill_after, clock
    ):
        sandbox.settings(emails_info=False)
        for _ in range(10):
            sandbox.add_mail("Contacts", ADA, to=["x@example.net"], subject="News", ago=20 * HOUR)
        instance = make_instance()
        kill_after(instance, 1, sent=False)
        instance.run()
        assert sandbox.mail_count() == 11


SAME = {"to": ["ada.lovelace@example.org"], "subject": "Hello", "content": "<p>Hi</p>"}
FOREIGN = f'<p>Hi</p><span class="m-{"0" * 16}-{"1" * 16}"></span>'

#: Mails of others, and what follows if ours was not sent: where contents can be read, and where not. A mail
#: that is the same in all that can be read is taken for ours (H9 of the protocol).
MAILS = {
    "received": ({**SAME, "received": True}, "sent", "sent"),
    "another content": ({**SAME, "content": "Shall we?"}, "doubt", "taken"),
    "a foreign marker": ({**SAME, "content": FOREIGN}, "doubt", "taken"),
    "the same": (SAME, "taken", "taken"),
    "other people": ({**SAME, "to": ["x@example.org"], "content": "x"}, "sent", "doubt"),
    "another subject": ({**SAME, "subject": "Lunch?", "content": "x"}, "sent", "doubt"),
    "another altogether": ({**SAME, "subject": "Lunch?", "to": ["x@example.org"]}, "sent", "sent"),
    "the same, of hours before": ({**SAME, "ago": 3 * HOUR}, "sent", "doubt"),
    "the same, of days before": ({**SAME, "ago": 48 * HOUR}, "sent", "sent"),
}


class TestMailsOfOthers:
    """Mails of others in the same record's list, from the same minute."""

    each_mail = pytest.mark.parametrize(("mail", "readable", "unreadable"), MAILS.values(), ids=MAILS)

    @pytest.mark.parametrize("settings", [{}, UNREAD], ids=["contents readable", "contents unreadable"])
    @each_mail
    def test_if_ours_was_not_sent(
        self, make_instance, sandbox, kill_after, clock, mail, readable, unreadable, settings
    ):
        sandbox.settings(**settings)
        instance = make_instance()
        kill_after(instance, 1, sent=False)
        other = sandbox.add_mail("Contacts", ADA, **mail)
        expected = unreadable if settings else readable
        if expected == "doubt":
            with pytest.raises(AirflowFailException, match="It is unknown whether"):
                instance.run()
        else:
            assert (instance.run() == other) == (expected == "taken")
        assert sandbox.mail_count() == 1 + (expected == "sent")

    @pytest.mark.parametrize("settings", [{}, UNREAD], ids=["contents readable", "contents unreadable"])
    @each_mail
    def test_if_ours_was_sent(
        self, make_instance, sandbox, kill_after, clock, mail, readable, unreadable, settings
    ):
        """It is found by its marker among any others; without one, a second matching mail causes doubt."""
        sandbox.settings(**settings)
        instance = make_instance()
        kill_after(instance, 1)
        other = sandbox.add_mail("Contacts", ADA, **mail)
        if settings and unreadable == "taken":
            with pytest.raises(AirflowFailException, match="2 e-mails from that time"):
                instance.run()
        else:
            assert instance.run() in {mail["message_id"] for mail in sandbox.mails()} - {other}
        assert sandbox.mail_count() == 2

    def test_a_text_that_looks_like_a_marker_excludes_nothing(
        self, make_instance, sandbox, kill_after, clock
    ):
        content = f"<p>class=m-{'0' * 16}-{'1' * 16} [m-{'0' * 16}-{'1' * 16}]</p>"
        sandbox.settings(strip_markup=True)
        instance = make_instance(content=content)
        kill_after(instance, 1)
        assert [mail["message_id"] for mail in sandbox.mails()] == [instance.run()]

    @pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "not sent"])
    def test_an_equal_unmarked_text_mail_of_hours_before_is_a_doubt(
        self, make_instance, sandbox, kill_after, clock, is_sent
    ):
        sandbox.settings(**UNREAD)
        sandbox.add_mail("Contacts", ADA, **{**SAME, "mail_format": "text"}, ago=3 * HOUR)
        instance = make_instance(mail_format="text", content="Hi")
        kill_after(instance, 1, sent=is_sent)
        if is_sent:
            assert sandbox.mails()[0]["message_id"] == instance.run()
        else:
            with pytest.raises(AirflowFailException, match="resembles it"):
                instance.run()
        assert sandbox.mail_count() == 1 + is_sent


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "not sent"])
def test_a_connect_of_95_s(make_instance, sandbox, clock, monkeypatch, is_sent):
    from airflow_provider_bigin.api.client import BiginClient

    post = BiginClient._request

    def connect_slowly(self, method, path, token, *, before, **content):
        if path.endswith("send_mail"):
            before()
            sandbox.advance(95)
            before = None
        return post(self, method, path, token, before=before, **content)

    sandbox.fault("send_mail", "lost_answer" if is_sent else "dropped")
    instance = make_instance()
    with monkeypatch.context() as patch:
        patch.setattr(BiginClient, "_request", connect_slowly)
        message_id = instance.run_to_the_end(lambda: sandbox.advance(300))
    assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]
