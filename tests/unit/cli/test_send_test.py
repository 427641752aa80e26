from __future__ import annotations

import pytest

from airflow_provider_bigin import __version__

ADA, COMPANY = "5000000000000000101", "5000000000000000201"
TO = ("--to", "Ada <ada.lovelace@example.org>")


def test_a_mail_is_sent_and_told(run, connect, sandbox):
    connect(sandbox)
    output, exit_code = run("send-test", *TO)
    assert exit_code == 0
    (mail,) = sandbox.mails()
    assert (mail["record_id"], mail["subject"]) == (ADA, "Test mail from Airflow")
    assert "to 1 recipient: Ada <ada.lovelace@example.org>." in output
    assert mail["message_id"] in output


def test_it_is_filed_where_the_caller_or_the_connection_says(run, connect, sandbox):
    connect(sandbox, module="Companies", record_id=COMPANY)
    run("send-test", *TO)
    run("send-test", *TO, "--record-id", f"https://bigin.zoho.com/bigin/org1/Home#/contacts/{ADA}")
    assert [mail["record_id"] for mail in sandbox.mails()] == [ADA, COMPANY]


def test_who_really_gets_it_is_told(run, connect, sandbox):
    connect(sandbox, redirect_to="staging@example.com")
    assert "to 1 recipient: staging@example.com." in run("send-test", *TO)[0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--to", "x"), "to: 'x' is not a valid e-mail address"),
        (("--to", "nobody@example.org"), "no record has the address"),
        (("nowhere", *TO), "nowhere"),
    ],
)
def test_what_is_wrong_is_one_sentence(run, connect, sandbox, arguments, says):
    connect(sandbox)
    assert says in run("send-test", *arguments)[1]
    assert sandbox.mails() == []


def test_the_version(run):
    assert run("--version") == (f"airflow-provider-bigin {__version__}\n", 0)
