from __future__ import annotations

import inspect
import logging

import pytest
from airflow.utils.email import send_email as airflow_send_email
from airflow.utils.email import send_email_smtp

from airflow_provider_bigin.api.errors import BiginError, BiginValidationError
from airflow_provider_bigin.utils.emailer import send_email

ADA = "5000000000000000101"
GRACE = "5000000000000000102"
COMPANY = "5000000000000000201"


def people(mail, field="to"):
    return [person["email"] for person in mail["request"]["data"][0].get(field, ())]


def test_each_contact_has_the_mail_on_its_own_page(hook, sandbox):
    send_email(
        "ada.lovelace@example.org; Grace <grace@navy.example.org>",
        "Failed",
        "<p>load</p>",
        cc=["cc@example.org"],
        bcc="bcc@example.org",
    )
    grace, ada = sandbox.mails()
    assert (ada["record_id"], people(ada)) == (ADA, ["ada.lovelace@example.org"])
    assert (grace["record_id"], people(grace)) == (GRACE, ["grace@navy.example.org"])
    assert (people(ada, "cc"), people(ada, "bcc")) == (["cc@example.org"], ["bcc@example.org"])
    assert people(grace, "cc") == people(grace, "bcc") == []
    assert (ada["subject"], ada["content"]) == ("Failed", "<p>load</p>")


def test_who_is_no_contact_is_mailed_from_the_default_record(hook, connect, sandbox):
    connect(sandbox, module="Companies", record_id=COMPANY)
    send_email(["ops@example.org", "ada.lovelace@example.org", "dev@example.org"], "Failed", "<p>load</p>")
    mails = {mail["record_id"]: people(mail) for mail in sandbox.mails()}
    assert mails == {COMPANY: ["ops@example.org", "dev@example.org"], ADA: ["ada.lovelace@example.org"]}


def test_who_has_no_record_is_named_before_anybody_is_mailed(hook, sandbox):
    sandbox.add_records(
        "Contacts",
        [{"Last_Name": "Twin", "Email": "twin@example.org"}, {"Last_Name": "T", "Email": "twin@example.org"}],
    )
    with pytest.raises(BiginError) as raised:
        send_email("no1@example.org,ada.lovelace@example.org,twin@example.org", "Failed", "")
    message = str(raised.value)
    for part in (
        "'bigin_default' has no default record",
        "no record has the address no1@example.org",
        "several records have the address twin@example.org",
    ):
        assert part in message
    assert "ada.lovelace" not in message
    assert sandbox.counts()["send_mail"] == 0


def test_who_cannot_be_mailed_is_named_and_the_others_are_mailed(hook, sandbox):
    with pytest.raises(BiginError, match=r"opted\.out@example\.org .*opted out of e-mail") as raised:
        send_email("opted.out@example.org,ada.lovelace@example.org", "Failed", "")
    assert "ada.lovelace" not in str(raised.value)
    assert [people(mail) for mail in sandbox.mails()] == [["ada.lovelace@example.org"]]


def test_without_the_scope_for_searching_the_default_record_serves(hook, connect, sandbox, caplog):
    scopes = [scope for scope in sandbox.settings()["scopes"] if "securesearch" not in scope]
    sandbox.settings(scopes=scopes)
    connect(sandbox, record_id=GRACE)
    send_email("ada.lovelace@example.org", "Failed", "")
    assert sandbox.mails()[0]["record_id"] == GRACE
    assert "OAUTH_SCOPE_MISMATCH" in caplog.text


def test_copies_go_out_with_the_first_mail_that_does(hook, sandbox):
    with pytest.raises(BiginError, match=r"opted\.out@example\.org"):
        send_email("opted.out@example.org,ada.lovelace@example.org", "Failed", "", cc="cc@example.org")
    (mail,) = sandbox.mails()
    assert (people(mail), people(mail, "cc")) == (["ada.lovelace@example.org"], ["cc@example.org"])


def test_copies_are_not_sent_again_after_a_lost_answer(hook, sandbox):
    sandbox.fault("send_mail", "lost_answer")
    with pytest.raises(BiginError, match=r"ada\.lovelace@example\.org .*may or may not have been sent"):
        send_email("ada.lovelace@example.org,grace.hopper@example.org", "Failed", "", cc="cc@example.org")
    grace, ada = sandbox.mails()
    assert (people(ada, "cc"), people(grace, "cc")) == (["cc@example.org"], [])


@pytest.mark.parametrize(
    ("given", "sender"),
    [
        (None, "ada@example.com"),
        ("airflow@airflow", "ada@example.com"),
        ("Airflow <airflow@airflow>", "ada@example.com"),
        ("Team <team@example.com>", "team@example.com"),
    ],
)
def test_sender(hook, sandbox, given, sender):
    send_email("ada.lovelace@example.org", "Failed", "", from_email=given)
    assert sandbox.mails()[0]["from"]["email"] == sender


@pytest.mark.parametrize("unset", [None, "", "smtp_default"])
def test_the_default_connection(hook, sandbox, unset):
    send_email("ada.lovelace@example.org", "Failed", "", conn_id=unset)
    assert sandbox.mail_count(ADA) == 1


def test_another_connection(hook, connect, sandbox):
    connect(sandbox, "bigin_alerts", from_email="team@example.com")
    send_email("ada.lovelace@example.org", "Failed", "", conn_id="bigin_alerts")
    assert sandbox.mails()[0]["from"]["email"] == "team@example.com"


def test_files_and_the_one_header_that_bigin_takes(hook, sandbox, tmp_path, caplog):
    (tmp_path / "log.txt").write_text("lines")
    headers = {"reply-to": "dev@example.org", "X-Priority": "1"}
    send_email(
        "ada.lovelace@example.org", "Failed", "", files=[str(tmp_path / "log.txt")], custom_headers=headers
    )
    (mail,) = sandbox.mails()
    assert len(mail["attachments"]) == 1
    assert mail["reply_to"]["email"] == "dev@example.org"
    assert "left out: x-priority" in caplog.text


def test_a_file_that_the_text_shows_is_an_image_in_it(hook, sandbox, tmp_path):
    """Airflow's own backend gives each attachment its file name as Content-ID."""
    for name in ("log.txt", "chart.png"):
        (tmp_path / name).write_text("x")
    files = [tmp_path / "log.txt", tmp_path / "chart.png"]
    send_email("ada.lovelace@example.org", "Failed", '<img src="cid:chart.png">', files=files)
    (mail,) = sandbox.mails()
    assert [file["name"] for file in mail["attachments"]] == ["log.txt"]
    assert "/crm/viewInLineImage?fileContent=" in mail["content"]


def test_a_file_for_several_contacts_whose_id_is_good_for_one_mail(hook, sandbox, tmp_path):
    sandbox.settings(single_use_files=True)
    (tmp_path / "log.txt").write_text("lines")
    send_email(
        "ada.lovelace@example.org,grace.hopper@example.org", "Failed", "", files=[tmp_path / "log.txt"]
    )
    assert [len(mail["attachments"]) for mail in sandbox.mails()] == [1, 1]
    assert sandbox.counts()["files"] == 2


def test_dry_run_checks_and_finds_but_sends_nothing(hook, sandbox, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        send_email("ada.lovelace@example.org", "Failed", "", dryrun=True)
    assert f"'Failed' to ada.lovelace@example.org from Contacts {ADA}" in caplog.text
    with pytest.raises(BiginValidationError, match="there is no file"):
        send_email("ada.lovelace@example.org", "Failed", "", dryrun=True, files=[str(tmp_path / "missing")])
    with pytest.raises(BiginError, match=r"nobody@example\.org"):
        send_email("nobody@example.org", "Failed", "", dryrun=True)
    assert sandbox.mails() == []


def test_the_signature_is_airflow_s():
    ours, legacy = (list(inspect.signature(each).parameters) for each in (send_email, send_email_smtp))
    assert set(legacy) <= {*ours}
    common = [name for name in legacy if name not in ("conn_id", "from_email", "custom_headers", "kwargs")]
    assert ours[: len(common)] == common


def test_through_airflow_s_own_send_email(hook, sandbox, monkeypatch):
    monkeypatch.setenv("AIRFLOW__EMAIL__EMAIL_BACKEND", "airflow_provider_bigin.utils.emailer.send_email")
    airflow_send_email(["ada.lovelace@example.org", "grace.hopper@example.org"], "Failed", "<p>load</p>")
    assert sandbox.mail_counts() == {ADA: 1, GRACE: 1}
