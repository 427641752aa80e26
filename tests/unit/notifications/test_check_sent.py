"""A failure that Airflow reports twice is told once."""

from __future__ import annotations

import copy
import logging
from types import SimpleNamespace

import pytest

from airflow_provider_bigin.delivery import lookup
from airflow_provider_bigin.delivery.identity import find_markers, task_half
from airflow_provider_bigin.notifications.bigin import BiginNotifier
from airflow_provider_bigin.version_compat import BaseNotifier
from tests.asyncio_debug import run_and_find_blocking

ADA = "5000000000000000101"
GRACE = "5000000000000000102"
ONCALL = {"to": "oncall@example.org", "record_id": ADA}
RUN = {"dag_id": "report", "run_id": "manual__2026-11-23"}


@pytest.fixture
def lost(make_context):
    """Make the context that Airflow 3's DAG processor passes: without the state and the exception."""

    def make(**changes):
        context = make_context(**changes)
        del context["exception"], context["ti"].state
        return context

    return make


@pytest.fixture
def tell(hook, sandbox, forget):
    """Call a notifier once for each context, as if each call were made in a process of its own."""
    sandbox.settings(token_limits=False)

    def call(*contexts, **arguments):
        for context in contexts:
            forget()
            BiginNotifier(**{**ONCALL, **arguments})(context)
        return sandbox.mail_count()

    return call


def of_dag(clear_number=0):
    return {"reason": "task_failure", "dag_run": SimpleNamespace(**RUN, clear_number=clear_number)}


def test_two_calls_from_the_dag_processor(tell, sandbox, lost, caplog):
    with caplog.at_level(logging.INFO):
        assert tell(lost(), lost()) == 1
    (mail,) = sandbox.mails()
    assert (
        f"is not sent again: Airflow has reported this failure before (message_id {mail['message_id']})"
        in (caplog.text)
    )


@pytest.mark.parametrize(
    ("subject", "sent"),
    [(None, "[Airflow] report.load: failed"), ("load: {{ exception }}", "load: no exception is known")],
)
def test_the_worker_was_only_frozen_and_knows_the_exception(tell, sandbox, make_context, lost, subject, sent):
    tell(lost(try_number=3), make_context(try_number=3), subject=subject)
    assert [mail["subject"] for mail in sandbox.mails()] == [sent]


@pytest.mark.parametrize("mail_format", ["html", "text"])
def test_two_calls_in_one_process_before_bigin_lists_the_mail(hook, sandbox, lost, mail_format):
    sandbox.settings(emails_lag=60)
    for _ in range(2):
        BiginNotifier(**ONCALL, mail_format=mail_format)(lost())
    assert sandbox.mail_count() == 1


@pytest.mark.parametrize("fault", ["dropped", "lost_answer"])
def test_after_a_lost_answer_the_second_call_looks(hook, sandbox, make_context, fault):
    sandbox.fault("send_mail", fault)
    for _ in range(2):
        BiginNotifier(**ONCALL)(make_context())
    assert sandbox.mail_count() == 1


@pytest.mark.parametrize(
    "other",
    [
        {"try_number": 1},
        {"map_index": 0},
        {"state": "up_for_retry"},
        {"task_id": "extract"},
        {"run_id": "manual__2026-11-24"},
        of_dag(),
    ],
    ids=["try", "map index", "state", "task", "run", "DAG"],
)
def test_another_failure_is_told(tell, make_context, other):
    assert tell(make_context(), make_context(**other), subject="It failed") == 2


@pytest.mark.parametrize(
    "other",
    [
        {"to": "boss@example.org"},
        {"cc": "boss@example.org"},
        {"bcc": "boss@example.org"},
        {"record_id": GRACE},
        {"subject": "Another subject"},
        {"content": "Another text"},
        {"bigin_conn_id": "bigin_other"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_notifier_of_the_same_task_tells_it_too(tell, connect, sandbox, make_context, other):
    connect(sandbox, "bigin_other")
    tell(make_context())
    assert tell(make_context(), **other) == 2


def test_a_copy_of_a_notifier_with_another_recipient_is_another_one(hook, sandbox, make_context):
    notifier = BiginNotifier(**ONCALL)
    other = copy.copy(notifier)
    other.to = "boss@example.org"
    for each in (notifier, other):
        each(make_context())
    assert sandbox.mail_count() == 2


def test_the_marker_is_not_taken_for_that_of_a_mail_that_the_task_sends(tell, sandbox, make_context):
    tell(make_context())
    of_task = task_half((*RUN.values(), "load", -1))
    (marker,) = find_markers(sandbox.mails()[0]["content"], of_task)
    assert marker.task != of_task


def test_a_run_may_fail_again_once_it_is_cleared(tell, make_context):
    failures = [make_context(**of_dag(clear_number=number)) for number in (0, 0, 1)]
    assert tell(*failures) == 2


def test_a_run_of_which_airflow_says_too_little(tell, make_context):
    minimal = {"dag": make_context()["dag"], "run_id": RUN["run_id"], "reason": "task_failure"}
    assert tell(minimal, minimal) == 2


def test_without_check_sent_each_call_sends(tell, sandbox, make_context):
    assert tell(make_context(), make_context(), check_sent=False) == 2
    assert sandbox.counts()["emails"] == 0


def test_a_text_mail_has_no_marker_to_look_for(tell, sandbox, make_context):
    assert tell(make_context(), make_context(), mail_format="text") == 2
    assert sandbox.counts()["emails"] == 0


@pytest.mark.parametrize(
    "told",
    [
        {"state": "success", "exception": None},
        {"state": "running", "exception": None},
        {"reason": "success"},
        {"deadline": {"deadline_time": "2026-11-23T06:00:00Z"}},
        {"task_list": "load on 2026-11-23"},
        {"question": SimpleNamespace(subject="Was it sent?", url="")},
    ],
    ids=["success", "execute", "DAG's success", "deadline", "SLA", "question"],
)
def test_what_is_no_failure_is_not_looked_for(tell, sandbox, make_context, told):
    assert tell(make_context(**told), make_context(**told)) == 2
    assert sandbox.counts()["emails"] == 0


@pytest.mark.parametrize("outage", ["500", "429", "scope", "plan"])
def test_a_list_that_cannot_be_read_does_not_stop_an_alert(tell, sandbox, make_context, caplog, outage):
    sandbox.settings(emails_outage=outage)
    assert tell(make_context()) == 1
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert f"the e-mails of Contacts {ADA} cannot be read: " in warning.getMessage()


def test_nor_does_a_mail_that_cannot_be_read(tell, sandbox, make_context, caplog):
    sandbox.settings(single_mail=False)
    assert tell(make_context(), make_context()) == 2
    assert "although it may have been sent before" in caplog.text


def test_nor_does_a_slow_answer(tell, sandbox, make_context, caplog, monkeypatch):
    monkeypatch.setattr(lookup, "RECENT_TIME", 0.5)
    sandbox.fault("emails", "slow", seconds=3, times=None)
    assert tell(make_context()) == 1
    assert "no response" in caplog.text
    assert sandbox.counts()["emails"] <= 1


def test_older_mails_are_not_read(tell, sandbox, make_context):
    sandbox.add_mail("Contacts", ADA, subject="[Airflow] report.load: failed", ago=lookup.RECENT + 60)
    assert tell(make_context()) == 2
    assert sandbox.counts()["emails"] == 2, "one read of each view"


def test_a_busy_record_is_not_read_to_its_end(tell, sandbox, make_context):
    for number in range(200):
        sandbox.add_mail("Contacts", ADA, subject=f"Mail {number}")
    assert tell(make_context()) == 201
    assert sandbox.counts()["emails"] == lookup.RECENT_PAGES + lookup.RECENT_MAILS


def test_a_host_that_dies_with_many_tasks(tell, lost):
    failures = [lost(task_id=f"task_{number}") for number in range(15)]
    assert tell(*failures, *failures) == 15


@pytest.mark.parametrize(
    "settings",
    [{"emails_default_empty": True}, {"emails_type": False}, {"emails_fields_required": True}],
    ids=str,
)
def test_however_the_account_lists_its_mails(tell, sandbox, lost, settings):
    sandbox.settings(**settings)
    assert tell(lost(), lost()) == 1


def test_the_subject_of_a_redirected_mail(tell, connect, sandbox, lost):
    connect(sandbox, redirect_to="staging@example.org")
    tell(lost())
    for number in range(lookup.RECENT_MAILS + 1):
        sandbox.add_mail("Contacts", ADA, subject=f"Later mail {number}")
    assert tell(lost()) == 1 + lookup.RECENT_MAILS + 1


def test_a_scheduled_mail(tell, lost):
    assert tell(lost(), lost(), scheduled_time="2036-12-24T18:00:00+01:00") == 1


def test_files_are_uploaded_once(tell, sandbox, lost, tmp_path):
    (tmp_path / "figures.csv").write_text("1")
    assert tell(lost(), lost(), files=[f"{tmp_path}/figures.csv"]) == 1
    assert sandbox.counts()["files"] == 1


def test_the_record_of_the_recipient(tell, lost):
    assert tell(lost(), lost(), to="ada.lovelace@example.org", record_id=None) == 1


@pytest.mark.skipif(not hasattr(BaseNotifier, "async_notify"), reason="Airflow awaits notifiers from 3.1 on")
def test_awaited(hook, sandbox, lost, forget):
    async def alert():
        await BiginNotifier(**ONCALL, context=lost())

    for _ in range(2):
        forget()
        _, complaints = run_and_find_blocking(alert())
        assert complaints == []
    assert sandbox.mail_count() == 1
