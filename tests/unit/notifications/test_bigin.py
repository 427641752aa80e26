from __future__ import annotations

import logging
import os

import pytest
from airflow import DAG

from airflow_provider_bigin.api.errors import BiginError, BiginNotFoundError
from airflow_provider_bigin.delivery.identity import without_markers
from airflow_provider_bigin.notifications.bigin import BiginNotifier, send_bigin_mail_notification
from airflow_provider_bigin.version_compat import BaseNotifier
from tests.asyncio_debug import MAX_BLOCK, run_and_find_blocking

ADA = "5000000000000000101"
GRACE = "5000000000000000102"

needs_awaitable_notifiers = pytest.mark.skipif(
    not hasattr(BaseNotifier, "async_notify"), reason="Airflow awaits notifiers from 3.1 on"
)


def test_the_default_mail_is_filed_with_the_contact_it_goes_to(hook, sandbox, make_context):
    BiginNotifier(to="Grace <grace@navy.example.org>, ops@example.org")(make_context())
    (mail,) = sandbox.mails()
    assert mail["record_id"] == GRACE
    assert [person["email"] for person in mail["to"]] == ["grace@navy.example.org", "ops@example.org"]
    assert mail["subject"] == "[Airflow] report.load: failed"
    assert "ValueError: no orders" in mail["content"]
    assert mail["request"]["data"][0]["mail_format"] == "html"


class Unprintable(ValueError):
    def __str__(self):
        raise RuntimeError("cannot be printed")

    def __bool__(self):
        raise RuntimeError("cannot be asked")


def test_an_exception_that_has_no_text_is_still_told(hook, sandbox, make_context):
    BiginNotifier(to="grace.hopper@example.org")(make_context(exception=Unprintable()))
    assert "Unprintable, whose text cannot be read" in sandbox.mails()[0]["content"]


def test_nor_does_it_hide_that_nobody_was_told(hook, sandbox, make_context, caplog):
    BiginNotifier(to="nobody@example.org")(make_context(exception=Unprintable()))
    assert "no record has the address" in caplog.text


@pytest.mark.parametrize("content", [None, "<p>{{ exception }}</p>"])
def test_an_exception_with_the_name_of_a_file_that_is_not_utf_8(hook, sandbox, make_context, content):
    error = ValueError("No such file: " + os.fsdecode(b"report-\xff"))
    BiginNotifier(to="grace.hopper@example.org", content=content)(make_context(exception=error))
    assert "No such file: " in sandbox.mails()[0]["content"]


def test_the_connection_s_default_record_comes_before_a_search(hook, connect, sandbox, make_context):
    connect(sandbox, module="Companies", record_id="5000000000000000201")
    BiginNotifier(to="grace.hopper@example.org")(make_context())
    (mail,) = sandbox.mails()
    assert mail["record_id"] == "5000000000000000201"
    assert sandbox.counts()["search"] == 0


def test_a_given_record_comes_before_the_connection_s(hook, connect, sandbox, make_context):
    connect(sandbox, record_id=GRACE)
    BiginNotifier(to="ops@example.org", module="Deals", record_id="5000000000000000301")(make_context())
    assert sandbox.mails()[0]["record_id"] == "5000000000000000301"


def test_no_record_is_an_error_that_says_so(hook, sandbox, make_context):
    notifier = BiginNotifier(to="nobody@example.org")
    with pytest.raises(BiginNotFoundError, match=r"no record has the address nobody@example\.org"):
        notifier.notify(make_context())
    assert sandbox.mails() == []


def test_everything_is_templated(hook, sandbox, make_context, tmp_path):
    (tmp_path / "figures.csv").write_text("1")
    BiginNotifier(
        to=["{{ ti.task_id }}@example.org"],
        cc="cc-{{ ti.task_id }}@example.org",
        bcc="bcc-{{ ti.task_id }}@example.org",
        from_email="Team <team@{{ 'example' }}.com>",
        reply_to="{{ ti.task_id }}@example.com",
        subject="{{ ti.task_id }} in {{ run_id }}",
        content="<p>{{ exception }}</p>",
        record_id="{{ record }}",
        module="{{ 'Contacts' }}",
        files=["{{ folder }}/figures.csv"],
        scheduled_time="{{ '2036-12-24T18:00:00+01:00' }}",
        bigin_conn_id="bigin_{{ 'default' }}",
    )(make_context(record=ADA, folder=str(tmp_path)))
    (mail,) = sandbox.mails()
    sent = mail["request"]["data"][0]
    sent["content"] = without_markers(sent["content"])
    assert mail["record_id"] == ADA
    assert len(sent.pop("attachments")) == 1
    assert sent == {
        "from": {"user_name": "Team", "email": "team@example.com"},
        "to": [{"email": "load@example.org"}],
        "cc": [{"email": "cc-load@example.org"}],
        "bcc": [{"email": "bcc-load@example.org"}],
        "reply_to": {"email": "load@example.com"},
        "subject": "load in manual__2026-11-23",
        "content": "<p>no orders</p>",
        "mail_format": "html",
        "scheduled_time": "2036-12-24T18:00:00+01:00",
    }


def test_content_from_a_file_beside_the_dag(hook, sandbox, make_context, tmp_path):
    (tmp_path / "alert.html").write_text("<p>{{ ti.task_id }} says {{ exception }}</p>")
    dag = DAG("report", schedule=None, template_searchpath=str(tmp_path))
    BiginNotifier(to="ada@example.org", record_id=ADA, content="alert.html")(make_context(dag=dag))
    assert without_markers(sandbox.mails()[0]["content"]) == "<p>load says no orders</p>"


def test_an_image_in_the_text(hook, sandbox, make_context, tmp_path):
    (tmp_path / "load.png").write_bytes(b"\x89PNG")
    BiginNotifier(
        to="ada@example.org",
        record_id=ADA,
        content='<img src="cid:chart">',
        images={"chart": f"{tmp_path}/{{{{ ti.task_id }}}}.png"},
    )(make_context())
    assert "/crm/viewInLineImage?fileContent=" in sandbox.mails()[0]["content"]


def test_the_default_text_of_a_text_mail_is_no_html(hook, sandbox, make_context):
    BiginNotifier(to="ada@example.org", record_id=ADA, mail_format="text")(make_context())
    assert sandbox.mails()[0]["content"].startswith("report.load: failed\n\nDAG: report\n")


def test_tasks_that_share_a_notifier_have_their_own_texts(hook, sandbox, make_context):
    notifier = send_bigin_mail_notification(
        to=["{{ ti.task_id }}@example.org"], record_id=ADA, content="{{ ti.task_id }}: {{ exception }}"
    )
    for task_id in ("extract", "load"):
        notifier(make_context(task_id, exception=ValueError(f"{task_id} is broken")))
    load, extract = sandbox.mails()
    for mail, task_id in ((extract, "extract"), (load, "load")):
        assert mail["to"][0]["email"] == f"{task_id}@example.org"
        assert mail["subject"] == f"[Airflow] report.{task_id}: failed"
        assert without_markers(mail["content"]) == f"{task_id}: {task_id} is broken"


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ({"to": "nobody@example.org"}, "no record has the address nobody@example.org"),
        ({"to": "opted.out@example.org"}, "the contact has opted out of e-mail"),
        ({"to": "ada.lovelace@example.org", "subject": "{{ nothing.there }}"}, "'nothing' is undefined"),
        ({"to": "ada.lovelace@example.org", "bigin_conn_id": "no_such_connection"}, "no_such_connection"),
    ],
    ids=["no record", "refused by Bigin", "template", "no connection"],
)
def test_a_notification_that_fails_does_not_stand_before_the_failure(
    hook, sandbox, make_context, caplog, broken, why
):
    notifier = BiginNotifier(**broken)
    with caplog.at_level(logging.ERROR):
        notifier(make_context())
    assert sandbox.mails() == []
    (record,) = [
        record for record in caplog.records if record.name.startswith("airflow_provider_bigin.notif")
    ]
    assert record.getMessage().startswith("The notification failed: ")
    assert why.lower() in record.getMessage().lower()


@pytest.mark.parametrize(
    "failure", [{"state": None}, {"state": "failed"}, {"reason": "task_failure"}], ids=["lost", "task", "DAG"]
)
def test_after_a_failure_without_an_exception_its_own_is_not_raised(
    hook, sandbox, make_context, caplog, failure
):
    BiginNotifier(to="nobody@example.org")(make_context(exception=None, **failure))
    assert "no record has the address" in caplog.text


def test_without_a_failure_to_tell_its_own_is_raised(hook, sandbox, make_context):
    notifier = BiginNotifier(to="nobody@example.org")
    with pytest.raises(BiginError, match="no record"):
        notifier(make_context(state="running", exception=None))


def test_a_lost_answer_is_not_sent_again_and_said(hook, sandbox, make_context, caplog):
    sandbox.fault("send_mail", "lost_answer")
    BiginNotifier(to="ada.lovelace@example.org")(make_context())
    assert sandbox.mail_count(ADA) == 1
    assert "the mail may or may not have been sent" in caplog.text


def test_the_arguments_of_a_missed_sla(hook, sandbox):
    dag = DAG("report", schedule=None)
    BiginNotifier(to="ada.lovelace@example.org")(dag, "load on 2026-11-23", "", [], [])
    assert sandbox.mails()[0]["subject"] == "[Airflow] report: SLA missed"


def test_async_notify_leaves_the_loop_free(hook, sandbox, make_context):
    sandbox.fault("any", "slow", seconds=2 * MAX_BLOCK, times=3)
    notifier = BiginNotifier(to="ada.lovelace@example.org")
    _, complaints = run_and_find_blocking(notifier.async_notify(make_context()))
    assert sandbox.mail_count(ADA) == 1
    assert complaints == []


def test_asyncio_would_complain(hook, sandbox, make_context):
    sandbox.fault("send_mail", "slow", seconds=2 * MAX_BLOCK)
    notifier = BiginNotifier(to="ada.lovelace@example.org")

    async def block():
        notifier.notify(make_context())

    _, complaints = run_and_find_blocking(block())
    assert complaints


@needs_awaitable_notifiers
def test_awaited_as_by_the_triggerer(hook, sandbox, make_context):
    sandbox.fault("send_mail", "slow", seconds=2 * MAX_BLOCK)
    context = {
        "dag_run": {"dag_id": "report", "run_id": "manual__1"},
        "deadline": {"deadline_time": "2026-11-23T06:00:00Z"},
    }

    async def alert():
        await BiginNotifier(to="ada.lovelace@example.org", content="{{ dag_run.run_id }}", context=context)

    _, complaints = run_and_find_blocking(alert())
    (mail,) = sandbox.mails()
    assert mail["subject"] == "[Airflow] report: deadline missed"
    assert mail["content"] == "manual__1"
    assert complaints == []


@needs_awaitable_notifiers
def test_awaited_it_raises_so_that_the_alert_counts_as_failed(hook, sandbox, caplog):
    async def alert():
        await BiginNotifier(to="nobody@example.org", context={"dag_run": {"dag_id": "report"}})

    with pytest.raises(BiginError, match="no record"):
        run_and_find_blocking(alert())
    assert "The notification failed: " in caplog.text
