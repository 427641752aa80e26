"""A connection that sends all mail to one address, so that a staging run mails no customers."""

from __future__ import annotations

import logging

import pytest
from airflow import DAG

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.notifications.bigin import BiginNotifier
from airflow_provider_bigin.utils.emailer import send_email
from airflow_provider_bigin.version_compat import AirflowFailException
from tests.task_instance import TaskInstance
from tests.unit.operators.rows import people, statuses

ADA = "5000000000000000101"


@pytest.fixture
def redirect(hook, connect, sandbox):
    """Redirect all mail, or send it to its recipients again."""
    return lambda to="Staging <staging@example.com>": connect(sandbox, redirect_to=to)


def recipients(sandbox):
    """Return all people to whom mails went, in whatever field."""
    return {
        person["email"]
        for mail in sandbox.mails()
        for field in ("to", "cc", "bcc")
        for person in mail["request"]["data"][0].get(field, ())
    }


def test_nobody_else_gets_the_mail_and_its_subject_says_whom_it_was_for(
    make_instance, sandbox, redirect, caplog
):
    caplog.set_level(logging.INFO)
    redirect()
    make_instance(cc="cc@example.org", bcc="bcc@example.org").run()
    assert recipients(sandbox) == {"staging@example.com"}
    (mail,) = sandbox.mails()
    assert mail["subject"] == "[for ada.lovelace@example.org, cc@example.org, bcc@example.org] Hello"
    assert mail["record_id"] == ADA
    assert "all mail to Staging <staging@example.com> instead of its recipients" in caplog.text
    assert "'Hello' from ada@example.com to 3 recipients, redirected to Staging" in caplog.text
    assert "@example.org" not in caplog.text


@pytest.mark.parametrize("send", ["notifier", "backend", "hook", "client", "not durable"])
def test_wherever_it_is_sent(send, hook, make_instance, sandbox, redirect):
    redirect()
    if send == "notifier":
        BiginNotifier(to="ada.lovelace@example.org", subject="s", content="c ")(
            {"dag": DAG("d", schedule=None)}
        )
    elif send == "backend":
        send_email(["ada.lovelace@example.org", "grace.hopper@example.org"], "s", "c", cc="cc@example.org")
    elif send == "hook":
        hook.send_mail(ADA, to="ada.lovelace@example.org", subject="s")
    elif send == "client":
        mail = hook.compose_mail(to="ada.lovelace@example.org", subject="s")
        hook.get_conn().send_mail("Contacts", ADA, mail)
    else:
        make_instance(durable=False).run()
    assert recipients(sandbox) == {"staging@example.com"}


def test_no_way_leads_past_it(hook, sandbox, redirect):
    redirect()
    with pytest.raises(errors.BiginInvalidRequestError, match="redirect_to"):
        hook.run("post", f"/Contacts/{ADA}/actions/send_mail/", json={"data": [{"to": [{"email": "a@b.c"}]}]})
    assert sandbox.mails() == []


def test_an_address_that_is_none_sends_nothing(make_instance, sandbox, redirect):
    redirect("staging")
    with pytest.raises(AirflowFailException, match=r"redirect_to: 'staging'"):
        make_instance().run()
    assert sandbox.mails() == []


@pytest.mark.parametrize("mail_format", ["html", "text"])
@pytest.mark.parametrize("fault", ["lost_answer", "500_after"])
def test_a_lost_answer_is_found_as_the_list_shows_it(
    make_instance, sandbox, redirect, fault, mail_format, clock
):
    redirect()
    sandbox.fault("send_mail", fault)
    message_id = make_instance(mail_format=mail_format, content="Hi", subject="x" * 1000).run()
    assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]


@pytest.mark.parametrize("mail_format", ["html", "text"])
def test_a_retry_finds_what_a_dead_worker_has_sent(
    make_instance, kill_after, sandbox, redirect, mail_format, clock
):
    redirect()
    instance = make_instance(mail_format=mail_format, content="Hi")
    kill_after(instance, 1)
    message_id = instance.run()
    assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]


@pytest.mark.parametrize("store", ["store", "variables"], indirect=True)
@pytest.mark.parametrize(("before", "after"), [(None, "staging@example.com"), ("staging@example.com", None)])
def test_a_mail_is_looked_for_as_it_was_sent_whatever_the_connection_says_now(
    make_instance, make_task, kill_after, sandbox, redirect, before, after, clock
):
    redirect(before)
    instance = make_instance(mail_format="text", content="Hi")
    kill_after(instance, 1)
    redirect(after)
    instance.task = make_task(mail_format="text", content="Hi")
    message_id = instance.run()
    assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]


def test_a_bulk_mailing_leaves_once_to_one_address(make_bulk_instance, kill_after, sandbox, redirect, caplog):
    redirect()
    instance = make_bulk_instance(people(sandbox, 4), subject="Hello", max_concurrency=1)
    kill_after(instance, 2)
    instance.run()
    assert sorted(statuses(instance)) == ["already_sent", "already_sent", "sent", "sent"]
    assert recipients(sandbox) == {"staging@example.com"}
    assert sorted(mail["subject"] for mail in sandbox.mails()) == [
        f"[for p{number}@example.org] Hello" for number in range(4)
    ]
    assert caplog.text.count("instead of its recipients") == 1  # not for each of them


def test_a_dry_run_says_so(redirect, make_bulk_task, sandbox, tmp_path):
    redirect()
    page = tmp_path / "preview.html"
    task = make_bulk_task(people(sandbox, 2), dry_run=True, preview_path=page)
    result = TaskInstance(task, store=None, start=sandbox.now()).run()
    assert "`Staging <staging@example.com>`" in result["preview"]
    assert "Staging &lt;staging@example.com&gt; instead" in page.read_text()
