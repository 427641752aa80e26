from __future__ import annotations

import re

import pytest

from airflow_provider_bigin.api.mail import MAX_CONTENT_LENGTH, MAX_SUBJECT_LENGTH
from airflow_provider_bigin.notifications.default_mail import as_html, as_text, read_context
from airflow_provider_bigin.operators.question import Asked
from airflow_provider_bigin.version_compat import mask_secret

# As a triggerer passes it to the callback of a deadline alert: the REST API's JSON, without a task.
DEADLINE = {
    "dag_run": {"dag_id": "report", "dag_run_id": "manual__1", "state": "running"},
    "deadline": {"id": "0193", "deadline_time": "2026-11-23T06:00:00Z"},
}


def test_a_failed_task(make_context):
    event = read_context(make_context())
    assert event.subject == "[Airflow] report.load: failed"
    assert event.facts == (
        ("DAG", "report"),
        ("Task", "load"),
        ("Run", "manual__2026-11-23"),
        ("Try", "2 of 3"),
    )
    assert event.exception == "ValueError: no orders"
    assert event.link.endswith("/tasks/load?try_number=2")
    for text in (
        "report.load",
        "failed",
        "manual__2026-11-23",
        "2 of 3",
        "ValueError: no orders",
        event.link,
    ):
        assert text in as_html(event)
        assert text in as_text(event)


def test_a_task_that_asks(make_context):
    question = Asked("Was the mail sent?", "https://airflow.example/required_actions")
    event = read_context(make_context(question=question))
    assert event.subject == "[Airflow] report.load: waiting for an answer"
    assert ("Question", "Was the mail sent?") in event.facts
    assert (event.link, event.link_text) == ("https://airflow.example/required_actions", "Answer")


def test_a_mapped_task_that_will_be_retried(make_context):
    event = read_context(make_context(state="up_for_retry", map_index=7, try_number=1))
    assert event.subject == "[Airflow] report.load: up for retry"
    assert ("Task", "load [7]") in event.facts
    assert ("Try", "1 of 3") in event.facts


@pytest.mark.parametrize(("try_number", "state"), [(2, "up for retry"), (3, "failed")])
def test_a_task_whose_state_airflow_does_not_pass(make_context, try_number, state):
    context = make_context(try_number=try_number, max_tries=2)
    del context["ti"].state
    assert read_context(context).subject == f"[Airflow] report.load: {state}"


@pytest.mark.parametrize(
    ("reason", "state", "shown"),
    [
        ("task_failure", "failed", "task failure"),
        ("timed_out", "failed", "timed out"),
        ("success", "success", "success"),
    ],
)
def test_a_dag_does_not_blame_the_task_that_happens_to_be_there(make_context, reason, state, shown):
    event = read_context(make_context(reason=reason))
    assert event.subject == f"[Airflow] report: {state}"
    assert ("Reason", shown) in event.facts
    assert "Task" not in dict(event.facts)
    assert "manual__2026-11-23" in event.link
    assert "load" not in event.link


def test_a_missed_deadline():
    event = read_context(DEADLINE)
    assert event.subject == "[Airflow] report: deadline missed"
    assert event.facts == (
        ("DAG", "report"),
        ("Run", "manual__1"),
        ("Deadline", "2026-11-23T06:00:00Z"),
    )
    assert event.link_text == "Open the run"
    assert "manual__1" in event.link


def test_a_missed_sla(make_context):
    dag = make_context()["dag"]
    event = read_context({"dag": dag, "task_list": "load on 2026-11-23", "blocking_task_list": ""})
    assert event.subject == "[Airflow] report: SLA missed"
    assert ("Tasks", "load on 2026-11-23") in event.facts
    assert not event.link


def test_nothing_at_all():
    event = read_context({})
    assert event.subject == "[Airflow] Airflow"
    assert as_html(event)
    assert as_text(event)


def test_html_is_escaped(make_context):
    html = as_html(read_context(make_context(task_id="<i>x", exception=ValueError('<script>"&'))))
    assert "<script>" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;&#34;&amp;" in html


def test_secrets_are_left_out(make_context):
    mask_secret("a-secret-of-the-connection")
    event = read_context(make_context(exception=ValueError("login with a-secret-of-the-connection")))
    assert event.exception == "ValueError: login with ***"


def test_an_exception_may_be_text(make_context):
    assert read_context(make_context(exception="Worker was lost")).exception == "Worker was lost"


class Unprintable(ValueError):
    def __str__(self):
        raise RuntimeError("cannot be printed")

    def __bool__(self):
        raise RuntimeError("cannot be asked")


def test_an_exception_that_has_no_text_is_still_told(make_context):
    event = read_context(make_context(exception=Unprintable()))
    assert event.exception == "Unprintable, whose text cannot be read"


def test_an_exception_is_one_short_line(make_context):
    event = read_context(make_context(exception=ValueError("no\r\norders\x1b[2J\u202e" + "x" * 100_000)))
    assert event.exception.startswith("ValueError: no orders [2Jxxx")
    assert len(event.exception) == 500


def test_a_surrogate_does_not_uncover_a_secret(make_context):
    mask_secret("a-secret-of-the-connection")
    event = read_context(make_context(exception=ValueError("\ud800 a-secret-of-the-connection")))
    assert event.exception == "ValueError: \\ud800 ***"


def test_a_secret_with_a_line_break_is_left_out(make_context):
    mask_secret("a-secret\nin-two-lines")
    event = read_context(make_context(exception=ValueError("login with a-secret\nin-two-lines")))
    assert event.exception == "ValueError: login with ***"


def test_a_secret_is_left_out_before_the_text_is_cut(make_context):
    mask_secret("a-secret-of-the-connection")
    event = read_context(make_context(exception=ValueError("x" * 480 + "a-secret-of-the-connection")))
    assert "a-sec" not in event.exception


def test_no_fact_adds_lines_to_the_mail(make_context):
    event = read_context(make_context(run_id="manual\n\u2028Task: other"))
    assert dict(event.facts)["Run"] == "manual Task: other"


def test_long_texts_stay_within_the_limits(make_context):
    event = read_context(make_context(task_id="t" * 2000, exception=ValueError("<" * 200_000)))
    assert len(event.subject) == MAX_SUBJECT_LENGTH
    assert len(as_html(event)) < MAX_CONTENT_LENGTH


def test_html_needs_nothing_that_mail_clients_drop(make_context):
    html = as_html(read_context(make_context()))
    assert not re.search(r"<(img|style|script|link)\b|class=|position:|flex|grid", html)
