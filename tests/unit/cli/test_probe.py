from __future__ import annotations

import re

import pytest

from airflow_provider_bigin.api.access_token import FixedToken
from airflow_provider_bigin.api.client import BiginClient, new_session
from airflow_provider_bigin.api.oauth import SCOPES
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.cli.questions import OF_A_LIST, Listing, names

ADA = "5000000000000000101"
ADDRESS = "ada.lovelace@example.org"
EVERY_LINE = {"scopes", "from-addresses", "clock", "views", "list", "paging", "entries", "single mail"}
LINES_OF_A_MAIL = {"entry", "content", "lost answer"}


@pytest.fixture
def ask(run, connect, sandbox, clock):
    """Probe the account and return the report by line, each with its meaning."""

    def probe(*arguments, **settings):
        connect(sandbox)
        sandbox.settings(**settings)
        output, exit_code = run("probe", "bigin_default", *arguments)
        assert exit_code == 0
        # Airflow 2.11 logs to the same place before that.
        heading, *lines = output[output.index("airflow-provider-bigin ") :].splitlines()
        assert re.fullmatch(r"airflow-provider-bigin \S+, Airflow \S+, Python \S+, region sandbox", heading)
        report = {}
        for line in lines:
            name, told = line[:15].strip(), line[16:]
            if name:
                report[name] = told
            else:
                report[[*report][-1]] += f" {told}"
        return report

    return probe


@pytest.fixture
def mails(sandbox):
    """Send a dozen e-mails to the contact that is probed."""
    for number in range(12):
        sandbox.add_mail(
            "Contacts", ADA, subject=f"Secret {number}", to=["secret@example.net"], ago=7 * (12 - number)
        )


def seconds(told, after):
    """Return the number that follows a text in a line of the report."""
    return int(told.partition(after)[2].split()[0])


# ---- what the command does ----


def test_every_question_has_a_line_and_nothing_is_sent(ask, sandbox, mails):
    assert ask().keys() == EVERY_LINE
    assert sandbox.mail_count() == 12
    # Like those of `check`: a mail without content and an upload without a file, which are refused.
    changing = [request for request in sandbox.log() if request["method"] != "GET"]
    assert {request["status"] for request in changing if request["call"] != "token"} == {400}


def test_one_mail_is_sent_if_an_address_is_given(ask, sandbox):
    assert ask("--send-to", ADDRESS).keys() == EVERY_LINE | LINES_OF_A_MAIL
    [mail] = sandbox.mails()
    assert (mail["record_id"], [to["email"] for to in mail["to"]]) == (ADA, [ADDRESS])


def test_the_default_record_is_taken_if_there_is_one(run, connect, sandbox, clock):
    connect(sandbox, module="Accounts", record_id="5000000000000000201")
    run("probe", "bigin_default", "--send-to", "me@example.net")
    [mail] = sandbox.mails()
    assert (mail["module"], mail["to"]) == ("Accounts", [{"email": "me@example.net"}])
    assert {request["record_id"] for request in sandbox.log() if request["call"] == "emails"} == {
        "5000000000000000201"
    }


def test_an_address_that_no_contact_has_is_an_error(run, connect, sandbox):
    connect(sandbox)
    output, error = run("probe", "bigin_default", "--send-to", "me@example.net")
    assert "scopes" not in output
    assert "default record" in error
    assert sandbox.mail_count() == 0


def test_the_report_has_no_personal_data(ask, sandbox, mails):
    report = " ".join(ask("--send-to", ADDRESS).values())
    account = str([sandbox.mails(), sandbox.settings()["from_addresses"]])
    values = {value for value in re.findall(r"'([^']{4,})'", account) if re.search(r"[@ ]|\d{4}", value)}
    assert len(values) > 20
    assert not [value for value in values if value in report]
    for personal in ("Ada", "Lovelace", "Airflow Sandbox", "@", ADA):
        assert personal not in report


def test_requests_are_few(ask, sandbox):
    sandbox.add_contacts(20)
    ask()
    assert sum(sandbox.counts().values()) < 40


def test_wrong_credentials_are_explained(run, connect, sandbox):
    connect(sandbox, password="mistyped")
    output, error = run("probe", "bigin_default")
    assert "scopes" not in output
    assert "The client secret does not belong to the client ID" in error


def test_an_unknown_connection_is_an_error(run):
    assert "no_such_connection" in run("probe", "no_such_connection")[1]


# ---- what the account answers ----


@pytest.mark.parametrize("missing", SCOPES)
def test_scopes(ask, missing):
    report = ask(scopes=[scope for scope in SCOPES if scope != missing])
    assert f"{missing} missing" in report["scopes"]
    assert ask(scopes=list(SCOPES))["scopes"] == "all granted"


def test_without_the_scope_for_records_the_list_is_not_asked_for(ask):
    report = ask(scopes=["ZohoBigin.send_mail.all.CREATE"])
    assert "A mail whose answer is lost stays in doubt." in report["scopes"]
    assert all(report[line] == "not asked: OAUTH_SCOPE_MISMATCH (HTTP 401)" for line in OF_A_LIST)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "key from_address, 2, one marked as default; names: default email id type user_name"),
        ({"from_addresses_key": "from_addresses"}, "key from_addresses, 2, one marked"),
        ({"from_addresses": [{"email": "x@example.org"}]}, "1, none marked as default; names: email ->"),
        ({"from_addresses": []}, "key unknown, none; names: none -> Each mail"),
    ],
)
def test_from_addresses(ask, settings, told):
    assert told in ask(**settings)["from-addresses"]


@pytest.mark.parametrize("skew", [0, 3600])
def test_the_clock(ask, skew):
    told = ask(date_skew=skew)["clock"]
    assert told.endswith(" s -> Times are by Bigin's clock.")
    # A `Date` has whole seconds, and is trusted even from a response that took several.
    assert skew - 10 < seconds(told, "machine's: ") < skew + 10


@pytest.mark.parametrize("date", ["missing", "nonsense"])
def test_no_clock(ask, date):
    told = ask(date=date)["clock"]
    assert told.startswith("no plausible Date -> Times are by this machine's clock")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "default: 10 on its first page, sent_from_crm: 10 on its first page, scheduled_in_crm: 0"),
        ({"emails_default_empty": True}, "default: 0 on its first page"),
        ({"emails_default_empty": True}, "The default view hides sent mails; both are read."),
        ({"emails_type": False}, "sent_from_crm: refused, INVALID_DATA (HTTP 400)"),
        ({"emails_type": False}, "Only the default view is read. A scheduled mail"),
        ({"emails_outage": "plan"}, "default: refused, FEATURE_NOT_SUPPORTED (HTTP 400)"),
        ({"emails_outage": "plan"}, "The list is not read without its default view"),
        ({"emails_key": "unknown"}, "default: not understood"),
    ],
)
def test_views(ask, mails, settings, told):
    assert told in ask(**settings)["views"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "key Emails, beside it: info; info: count more_records next_index per_page prev_index;"),
        ({}, "fields need not be named -> The list is understood."),
        ({"emails_key": "email_related_list"}, "key email_related_list,"),
        ({"emails_key": "unknown"}, "key unknown, beside it: info unknown; info: "),
        (
            {"emails_key": "unknown"},
            "leaves doubt, because the list of its record's e-mails has an unknown shape.",
        ),
        ({"emails_info": False}, "beside it: none; info: none;"),
        ({"emails_paging": "page_token"}, "next_page_token page page_token_expiry per_page"),
        ({"emails_fields_required": True}, "fields have to be named"),
        ({"emails_outage": "CANNOT_PROCESS"}, "not answered: CANNOT_PROCESS (HTTP 400)"),
    ],
)
def test_the_list(ask, mails, settings, told):
    assert told in ask(**settings)["list"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "by index, 10 and then 2 -> A list is read to its end."),
        ({"emails_paging": "page_token"}, "by page_token, 10 and then 2"),
        ({"emails_paging": "page"}, "by page, 10 and then 2"),
        (
            {"emails_paging": "none"},
            "unknown -> A lost answer leaves doubt, because the list of its record's",
        ),
        ({"emails_info": False}, "does not say whether it continues"),
    ],
)
def test_paging(ask, mails, settings, told):
    assert told in ask(**settings)["paging"]


def test_a_page_that_is_named_and_shows_nothing_leaves_doubt(ask, sandbox, mails):
    # Three views of four contacts, and the first page once more.
    sandbox.fault("emails", "page_expired", skip=13)
    assert (
        ask()["paging"] == "by index, 10 and then 0 -> A lost answer leaves doubt, because its second page"
        " shows nothing."
    )


def test_without_e_mails_it_says_how_to_see_more(ask):
    report = ask()
    assert report["list"] == "empty -> To see more, use --send-to or a default record that has e-mails."
    assert report["paging"].startswith("one page of 0 -> ")
    assert (report["entries"], report["single mail"]) == ("none", "not asked: the list shows none with an id")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "cc from has_attachment linked_record message_id owner read sent source status subject"),
        ({}, "cc: null; linked_record: null; status: sent; newest first; to the second"),
        ({}, "a mail can be recognized by subject, recipients and time"),
        ({"emails_empty": "array"}, "cc: empty array; linked_record: empty array"),
        ({"emails_empty": "object"}, "cc: empty object; linked_record: empty object"),
        ({"emails_rounding": 60}, "whole minutes"),
        ({"emails_utc_offset": None}, "Unreadable: time. Without its marker, a mail leaves doubt."),
        ({"emails_missing": ["message_id", "to"]}, "Unreadable: message_id, people."),
    ],
)
def test_entries(ask, mails, settings, told):
    assert told in ask(**settings)["entries"]


def test_the_states_of_a_mail_are_named(ask, sandbox):
    message_id = sandbox.add_mail("Contacts", ADA)
    sandbox.set_status(message_id, "bounced", "550 secret@example.net")
    sandbox.set_status(message_id, "read by secret@example.net")
    assert "status: (another) bounced sent;" in ask()["entries"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "with content; attachments cc content from"),
        ({}, "Markers can be read; --send-to shows whether they are kept."),
        (
            {"single_mail": False},
            "refused: INVALID_URL_PATTERN (HTTP 404) -> Mails are recognized by subject",
        ),
        ({"emails_missing": ["message_id"]}, "not asked"),
    ],
)
def test_the_single_mail(ask, mails, settings, told):
    assert told in ask(**settings)["single mail"]


# ---- the status of the mail to oneself ----


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "found by its marker -> A lost answer is settled by proof."),
        ({"strip_markup": True}, "found by subject, recipients and time -> A lost answer is settled."),
        ({"single_mail": False}, "found by subject, recipients and time"),
        ({"emails_lag": 600}, "absent, although it was sent -> "),
        ({"emails_lag": 600}, 'set on_unknown_outcome="fail"'),
        ({"emails_key": "unknown"}, "in doubt -> A lost answer leaves doubt, because the list"),
        ({"emails_outage": "500"}, "not readable: INTERNAL_ERROR (HTTP 500)"),
        (
            {"emails_outage": "scope"},
            "in doubt -> A lost answer leaves doubt, because its record's e-mails cannot be",
        ),
    ],
)
def test_a_lost_answer(ask, settings, told):
    assert told in ask("--send-to", ADDRESS, **settings)["lost answer"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "marker kept, the rest unchanged -> Markers are kept"),
        ({"strip_markup": True}, "marker lost, the rest unchanged -> Mails are recognized by subject"),
        ({"content_footer": "<p>Sent with Bigin</p>"}, "marker kept, the rest rewritten"),
        ({"single_mail": False}, "not readable"),
    ],
)
def test_the_content_of_the_mail(ask, settings, told):
    assert told in ask("--send-to", ADDRESS, **settings)["content"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "changed: nothing;"),
        ({"rewrite_sender": True}, "changed: sender;"),
        ({"reorder_recipients": True}, "changed: recipients;"),
        ({"emails_subject_length": 5}, "changed: subject;"),
        ({"emails_utc_offset": None}, "its time: unknown"),
    ],
)
def test_the_entry_of_the_mail(ask, settings, told):
    assert told in ask("--send-to", ADDRESS, **settings)["entry"]


def test_how_long_it_takes_to_be_seen(ask):
    assert seconds(ask("--send-to", ADDRESS, emails_lag=10)["entry"], "seen after ") >= 10
    assert seconds(ask("--send-to", ADDRESS, emails_lag=600)["entry"], "not seen for ") >= 90


def test_times_that_are_off(ask):
    assert abs(seconds(ask("--send-to", ADDRESS, emails_skew=-3600)["entry"], "its time: ") + 3600) < 60


def test_a_mail_that_is_refused_is_no_end(ask, sandbox):
    sandbox.fault("send_mail", "daily_limit", skip=1)  # the first is the one for the scope
    report = ask("--send-to", ADDRESS)
    assert report["lost answer"] == "not asked: LIMIT_EXCEEDED (HTTP 400)"
    assert report.keys() == EVERY_LINE | LINES_OF_A_MAIL


# ---- strange answers ----


@pytest.mark.parametrize(
    "page", [7, "text", [], [[]], {}, {"Emails": 7}, {"Emails": [{}], "info": 7, "a@b": 1}]
)
def test_no_answer_is_too_strange_for_a_report(page):
    client = BiginClient(FixedToken("token"), session=new_session(), api_domain="https://www.zohoapis.eu")
    pages = dict.fromkeys((None, "sent_from_crm", "scheduled_in_crm"), page)
    listing = Listing(client, RecordRef("Contacts", ADA), pages)
    told = [question(listing).told for question in OF_A_LIST.values()]
    assert "a@b" not in " ".join(told)


def test_what_does_not_look_like_a_name_is_not_shown():
    assert (
        names(["message_id", "a@example.org", "5000000000000000101", "x" * 61, "Grüße", {}])
        == "(another) message_id"
    )
