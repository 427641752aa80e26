"""A mail in doubt is a question to a person: what is asked and when, and what follows from each answer."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.operators.question import OPTIONS
from airflow_provider_bigin.version_compat import (
    AirflowFailException,
    AirflowRescheduleException,
    BaseNotifier,
    can_ask_people,
    can_reschedule,
)
from tests.unit.operators.rows import people, statuses

SENT, SEND, LEAVE = (options[0] for options in OPTIONS.values())
LATE = None
#: What the record's e-mails show when the task resumes, as settings of the sandbox.
EVIDENCE = {
    "found": {"emails_key": "Emails"},
    "absent": {"emails_key": "Emails"},
    "in doubt": {"emails_key": "unknown"},
    "unreadable": {"emails_key": "Emails", "emails_outage": "500"},
}
#: How a try that resumes with an answer ends: green without a message_id, or with that of a mail that was
#: found or sent; red; or left to the next try.
TABLE = {
    SENT: {"found": "found", "absent": "green", "in doubt": "green", "unreadable": "green"},
    SEND: {"found": "found", "absent": "sent", "in doubt": "sent", "unreadable": "later"},
    LEAVE: {"found": "found", "absent": "red", "in doubt": "red", "unreadable": "red"},
    LATE: {"found": "found", "absent": "sent", "in doubt": "red", "unreadable": "later"},
}
CELLS = [
    pytest.param(option, evidence, decision, id=f"{option}, {evidence}: {decision}")
    for option, decisions in TABLE.items()
    for evidence, decision in decisions.items()
]

each_store = pytest.mark.parametrize("store", ["store", "variables"], indirect=True)
needs_questions = pytest.mark.skipif(not can_ask_people(), reason="this Airflow asks nobody")


class Told(BaseNotifier):
    """A notifier that records what it is told."""

    template_fields = ("message",)

    def __init__(self):
        super().__init__()
        self.message = "{{ question.subject }} {{ question.url }}"
        self.messages = []

    def notify(self, context):
        self.messages.append(self.message)


class Broken(Told):
    def notify(self, context):
        raise RuntimeError("nobody answers")


@pytest.fixture
def asked(monkeypatch):
    """Return the questions that Airflow was asked to show."""
    questions = []
    monkeypatch.setattr(
        "airflow.sdk.execution_time.hitl.upsert_hitl_detail", lambda **question: questions.append(question)
    )
    return questions


@pytest.fixture
def wait(asked):
    """Run a function that waits for a person and return what it raised for that."""
    from airflow import exceptions
    from airflow.sdk import exceptions as sdk_exceptions

    names = ("TaskAwaitingInput", "TaskDeferred")  # Airflow 3.1 has the second one, and elsewhere
    waits = tuple(getattr(sdk_exceptions, name, None) or getattr(exceptions, name, None) for name in names)

    def run(function, *arguments):
        number = len(asked)
        with pytest.raises(tuple(kind for kind in waits if kind)) as waiting:
            function(*arguments)
        assert len(asked) == number + 1
        return waiting.value

    return run


def event(option):
    """Make the event with which Airflow reports an answer, or none."""
    if option is LATE:
        return {"error": "The timeout has passed.", "error_type": "timeout"}
    return {"chosen_options": [option], "params_input": {}, "responded_by_user": {"id": "1", "name": "Ada"}}


@pytest.fixture
def in_doubt(make_instance, sandbox, kill_after, clock):
    """Return a task whose worker died, with no evidence of whether its mail was sent."""

    def make(*, sent=False, **changes):
        sandbox.add_mail("Contacts", "5000000000000000101", to=["x@example.net"], ago=90)
        sandbox.settings(emails_key="unknown")
        instance = make_instance(**{"on_unknown_outcome": "ask", **changes})
        kill_after(instance, 1, sent=sent)
        return instance

    return make


@needs_questions
@each_store
@pytest.mark.parametrize(("option", "evidence", "decision"), CELLS)
def test_what_follows_from_an_answer(in_doubt, wait, sandbox, option, evidence, decision):
    instance = in_doubt(sent=evidence == "found")
    waiting = wait(instance.run)
    posts = sandbox.counts()["send_mail"]
    sandbox.settings(**EVIDENCE[evidence])
    if decision in ("red", "later"):
        error = AirflowFailException if decision == "red" else errors.BiginOutcomePendingError
        with pytest.raises(error):
            instance.resume(waiting, event(option))
    else:
        message_id = instance.resume(waiting, event(option))
        newest = sandbox.mails()[0]["message_id"]
        assert message_id == (None if decision == "green" else newest)
    assert sandbox.counts()["send_mail"] - posts == (decision == "sent")


@needs_questions
@each_store
class TestQuestion:
    def test_it_says_what_was_seen_and_holds_for_every_try(self, in_doubt, wait, asked):
        wait(in_doubt(ask_users=[{"id": "7", "name": "ada"}]).run)
        (question,) = asked
        assert question["subject"] == "Was the mail to Contacts 5000000000000000101 sent?"
        assert question["options"] == [SENT, SEND, LEAVE]
        assert question["assigned_users"] == [{"id": "7", "name": "ada"}]
        assert "e-mails of `Contacts 5000000000000000101`:\n\n> `It is unknown" in question["body"]
        assert "@" not in question["body"]

    def test_it_waits_for_a_day_unless_told_otherwise(self, in_doubt, wait):
        assert in_doubt().task.ask_timeout == timedelta(days=1)

    def test_a_lost_answer_is_asked_about_in_the_same_try(self, make_instance, wait, sandbox):
        sandbox.add_mail("Contacts", "5000000000000000101", to=["x@example.net"], ago=90)
        sandbox.settings(emails_key="unknown")
        sandbox.fault("send_mail", "dropped")
        instance = make_instance(on_unknown_outcome="ask")
        waiting = wait(instance.run)
        assert instance.resume(waiting, event(SEND)) == sandbox.mails()[0]["message_id"]
        assert sandbox.mail_count() == 2

    def test_a_scheduled_mail_that_is_absent_is_asked_about(self, make_instance, wait, kill_after, asked):
        instance = make_instance(on_unknown_outcome="ask", scheduled_time="2036-12-24T18:00:00+01:00")
        kill_after(instance, 1, sent=False)
        wait(instance.run)
        assert "The mail is not among its record's e-mails." in asked[0]["body"]

    def test_nobody_is_asked_what_the_list_tells(self, in_doubt, sandbox):
        instance = in_doubt(sent=True)
        sandbox.settings(emails_key="Emails")
        assert instance.run() == sandbox.mails()[0]["message_id"]

    def test_nobody_is_asked_where_the_answer_could_not_be_kept(self, in_doubt, asked, monkeypatch):
        instance = in_doubt()
        monkeypatch.setenv("AIRFLOW__BIGIN__STATE", "none")
        with pytest.raises(AirflowFailException, match="resend"):
            instance.run()
        assert asked == []

    def test_an_operator_in_a_task_cannot_wait(self, make_instance, sandbox, asked):
        sandbox.fault("send_mail", "dropped")
        sandbox.settings(emails_key="unknown")
        instance = make_instance(on_unknown_outcome="ask")
        sandbox.add_mail("Contacts", "5000000000000000101", to=["x@example.net"], ago=90)
        context = instance.context()
        context["task"] = type("Around", (), {"task_id": "around", "retries": 0})
        with pytest.raises(AirflowFailException, match="resend"):
            instance.task.execute(context)
        assert asked == []

    @pytest.mark.parametrize(
        "arguments",
        [
            {"ask_timeout": 60},
            {"ask_timeout": timedelta.max},
            {"ask_users": ["ada"]},
            {"ask_users": [{"id": "1"}]},
            {"ask_users": None},
        ],
        ids=str,
    )
    def test_what_cannot_be_asked_is_refused_before_the_first_request(
        self, make_instance, sandbox, arguments
    ):
        with pytest.raises(AirflowFailException, match="ask_"):
            make_instance(**arguments).run()
        assert sandbox.counts() == {}

    def test_who_is_told_gets_the_address(self, in_doubt, make_instance, wait, caplog):
        told = Told()
        wait(in_doubt(ask_notifiers=[Broken(), told]).run)
        assert make_instance(ask_notifiers=told).task.ask_notifiers == [told]
        (message,) = told.messages
        assert message.startswith("Was the mail to Contacts 5000000000000000101 sent? http")
        assert message.endswith("/dags/dag/runs/run/tasks/mail/required_actions")
        assert "Nobody was notified of the question by Broken" in caplog.text


@needs_questions
@each_store
class TestAnswers:
    def test_leave_it_holds_until_somebody_clears(self, in_doubt, wait, sandbox):
        instance = in_doubt()
        waiting = wait(instance.run)
        with pytest.raises(AirflowFailException, match="chose to leave it failed"):
            instance.resume(waiting, event(LEAVE))
        instance.retry()
        with pytest.raises(AirflowFailException, match="chose to leave it failed"):
            instance.run()
        instance.clear(sandbox.now())
        waiting = wait(instance.run)
        instance.resume(waiting, event(SEND))
        assert sandbox.mail_count() == 2

    def test_without_an_answer_nothing_is_sent_and_a_clear_asks_again(self, in_doubt, wait, sandbox):
        instance = in_doubt()
        waiting = wait(instance.run)
        with pytest.raises(AirflowFailException, match="Nobody answered in time"):
            instance.resume(waiting, event(LATE))
        assert sandbox.mail_count() == 1
        instance.clear(sandbox.now())
        wait(instance.run)

    def test_send_it_is_for_one_post(self, in_doubt, wait, sandbox):
        instance = in_doubt()
        first = wait(instance.run)
        sandbox.fault("send_mail", "dropped")
        posts = sandbox.counts()["send_mail"]
        second = wait(instance.resume, first, event(SEND))
        assert sandbox.counts()["send_mail"] == posts + 1
        # An answer is about one doubt: the answer to the first question says nothing about the second.
        wait(instance.resume, first, event(SEND))
        assert sandbox.counts()["send_mail"] == posts + 1
        instance.resume(second, event(SEND))
        assert sandbox.mail_count() == 2

    @pytest.mark.parametrize("fault", ["429_credits", "daily_limit"])
    def test_it_is_not_spent_by_what_was_surely_not_sent(self, in_doubt, wait, sandbox, fault):
        instance = in_doubt(limit_wait=None)
        waiting = wait(instance.run)
        sandbox.fault("send_mail", fault)
        with pytest.raises(errors.BiginError):
            instance.resume(waiting, event(SEND))
        instance.retry()
        assert instance.run() == sandbox.mails()[0]["message_id"]
        assert sandbox.mail_count() == 2

    @pytest.mark.skipif(not can_reschedule(), reason="this Airflow reschedules sensors only")
    def test_a_limit_is_waited_for_after_it(self, in_doubt, wait, sandbox):
        instance = in_doubt()
        waiting = wait(instance.run)
        sandbox.fault("send_mail", "429_credits")
        with pytest.raises(AirflowRescheduleException):
            instance.resume(waiting, event(SEND))
        instance.run_again()
        assert instance.run() == sandbox.mails()[0]["message_id"]
        assert sandbox.mail_count() == 2

    @pytest.mark.skipif(not can_reschedule(), reason="this Airflow reschedules sensors only")
    @pytest.mark.parametrize("option", [SENT, SEND, LEAVE])
    def test_only_what_is_to_be_sent_waits_for_a_limit_of_the_list(self, in_doubt, wait, sandbox, option):
        instance = in_doubt()
        waiting = wait(instance.run)
        sandbox.fault("emails", "429_credits", times=None)
        if option is SENT:
            assert instance.resume(waiting, event(option)) is None
        elif option is LEAVE:
            with pytest.raises(AirflowFailException, match="chose to leave it failed"):
                instance.resume(waiting, event(option))
        else:
            with pytest.raises(AirflowRescheduleException):
                instance.resume(waiting, event(option))
            sandbox.clear_faults()
            instance.run_again()
            assert instance.run() == sandbox.mails()[0]["message_id"]
        assert sandbox.mail_count() == 1 + (option is SEND)

    def test_a_list_that_is_unreadable_is_waited_for(self, in_doubt, wait, sandbox):
        instance = in_doubt()
        waiting = wait(instance.run)
        sandbox.settings(emails_outage="500")
        with pytest.raises(errors.BiginOutcomePendingError):
            instance.resume(waiting, event(SEND))
        instance.retry()
        sandbox.settings(emails_outage=None)
        instance.run()
        assert sandbox.mail_count() == 2

    def test_a_worker_that_dies_with_the_answer_asks_again(self, in_doubt, wait, kill_after, sandbox):
        instance = in_doubt()
        waiting = wait(instance.run)
        kill_after(_Resumed(instance, waiting, event(SEND)), 1, sent=False)
        wait(instance.run)
        assert sandbox.mail_count() == 1

    def test_it_was_sent_holds_in_all_tries_that_follow(self, in_doubt, wait, sandbox):
        instance = in_doubt()
        assert instance.resume(wait(instance.run), event(SENT)) is None
        posts = sandbox.counts()["send_mail"]
        instance.clear(sandbox.now())
        instance.run()  # requested once more
        assert sandbox.counts()["send_mail"] == posts + 1

    @pytest.mark.parametrize("state", ["up_for_retry", "failed"])
    def test_a_try_that_airflow_has_given_up_on_sends_nothing(self, in_doubt, wait, sandbox, state):
        """Airflow may mark a try for retry while it runs if it was resumed within seconds."""
        instance = in_doubt()
        waiting = wait(instance.run)
        instance.state = state
        with pytest.raises(errors.BiginStaleAttemptError):
            instance.resume(waiting, event(SEND))
        assert sandbox.mail_count() == 1

    def test_no_question_where_the_state_cannot_be_written(self, in_doubt, asked, monkeypatch, store):
        instance = in_doubt()
        monkeypatch.setattr(
            store, "set", lambda *value, **how: (_ for _ in ()).throw(OSError("no supervisor"))
        )
        with pytest.raises(errors.BiginJournalError):
            instance.run()
        assert asked == []


class _Resumed:
    """A resumed try, as a task instance."""

    def __init__(self, instance, waiting, event):
        self._instance = instance
        self.run = lambda: instance.resume(waiting, event)

    def retry(self):
        self._instance.retry()


@needs_questions
@each_store
class TestManyMails:
    @pytest.fixture
    def lost(self, make_bulk_instance, sandbox, clock):
        """Four rows: two are in doubt, one is refused, one is sent."""
        rows = people(sandbox, 4)
        for row, fault in zip(rows, ("dropped", "item_error", "dropped"), strict=False):
            sandbox.fault("send_mail", fault, record_id=row["record_id"])
        sandbox.add_mail("Contacts", rows[0]["record_id"], to=["x@example.net"], ago=90)
        sandbox.add_mail("Contacts", rows[2]["record_id"], to=["x@example.net"], ago=90)
        sandbox.settings(emails_key="unknown")
        return make_bulk_instance(rows, on_unknown_outcome="ask", max_concurrency=1)

    def test_one_question_for_all(self, lost, wait, asked):
        wait(lost.run)
        assert statuses(lost) == ["unknown", "failed", "unknown", "sent"]
        assert asked[0]["subject"] == "Were the mails in doubt sent?"

    @pytest.mark.parametrize(
        ("word", "ending", "mails"),
        [("sent", "already_sent", 1), ("send", "sent", 3), ("leave", "unknown", 1)],
    )
    def test_the_answer_is_for_all(self, lost, wait, sandbox, word, ending, mails):
        waiting = wait(lost.run)
        before = sandbox.mail_count()
        with pytest.raises(AirflowFailException):  # one is refused
            lost.resume(waiting, event(OPTIONS[word][1]))
        assert statuses(lost) == [ending, "failed", ending, "already_sent"]
        assert sandbox.mail_count() - before == mails - 1

    def test_nobody_is_asked_before_all_others_are_settled(
        self, make_bulk_instance, sandbox, clock, wait, asked
    ):
        rows = people(sandbox, 3)
        sandbox.add_mail("Contacts", rows[0]["record_id"], to=["x@example.net"], ago=90)
        sandbox.settings(emails_key="unknown")
        sandbox.fault("send_mail", "dropped", record_id=rows[0]["record_id"])
        sandbox.fault("send_mail", "429_credits", record_id=rows[1]["record_id"])
        instance = make_bulk_instance(rows, on_unknown_outcome="ask", max_concurrency=1, limit_wait=None)
        with pytest.raises(errors.BiginMailsLeftError):
            instance.run()
        assert asked == []
        instance.retry()
        wait(instance.run)
        assert statuses(instance) == ["unknown", "sent", "sent"]

    def test_where_no_try_is_left_nobody_waits_for_the_others(self, make_bulk_instance, sandbox, clock, wait):
        rows = people(sandbox, 2)
        sandbox.add_mail("Contacts", rows[0]["record_id"], to=["x@example.net"], ago=90)
        sandbox.settings(emails_key="unknown")
        sandbox.fault("send_mail", "dropped", record_id=rows[0]["record_id"])
        sandbox.fault("send_mail", "record_locked", record_id=rows[1]["record_id"])
        instance = make_bulk_instance(rows, on_unknown_outcome="ask", max_concurrency=1, retries=0)
        waiting = wait(instance.run)
        assert statuses(instance) == ["unknown", "failed"]
        instance.resume(waiting, event(OPTIONS["send"][1]))
        assert statuses(instance) == ["sent", "sent"]

    def test_a_dry_run_sends_nothing_after_an_answer(self, lost, make_bulk_task, wait, sandbox):
        waiting = wait(lost.run)
        posts = sandbox.counts()["send_mail"]
        lost.task = make_bulk_task(lost.task.mails, on_unknown_outcome="ask", dry_run=True)
        assert lost.resume(waiting, event(OPTIONS["send"][1]))["ready"] == 4
        assert sandbox.counts()["send_mail"] == posts

    def test_a_row_that_may_be_an_edit_is_asked_about(
        self, make_bulk_instance, make_bulk_task, sandbox, clock, wait
    ):
        rows = people(sandbox, 2)
        sandbox.fault("send_mail", "429_credits", record_id=rows[1]["record_id"])
        instance = make_bulk_instance(rows, max_concurrency=1, limit_wait=None)
        with pytest.raises(errors.BiginMailsLeftError):
            instance.run()
        instance.retry()
        edited = [{**rows[0], "name": "another"}, rows[1]]
        instance.task = make_bulk_task(edited, on_unknown_outcome="ask")
        waiting = wait(instance.run)
        assert statuses(instance) == ["unknown", "sent"]
        instance.resume(waiting, event(OPTIONS["send"][1]))
        assert statuses(instance) == ["sent", "already_sent"]
        assert sandbox.mail_count() == 3

    def test_rows_of_which_nothing_is_known(self, make_bulk_instance, sandbox, clock, wait, store, asked):
        """More than can be looked up: the state is lost, so all of them are in doubt."""
        rows = people(sandbox, 101)
        instance = make_bulk_instance(rows, on_unknown_outcome="ask", max_concurrency=1)
        instance.retry()
        store.set("airflow_provider_bigin.task.head", {"version": 99})  # not the name of a Variable
        waiting = wait(instance.run)
        assert len(json.dumps(waiting.kwargs)) < 3000
        instance.resume(waiting, event(OPTIONS["send"][1]))
        assert sandbox.mail_count() == 101


@pytest.mark.skipif(can_ask_people(), reason="this Airflow asks people")
@pytest.mark.parametrize("store", ["variables"], indirect=True)
class TestBefore31:
    def test_a_literal_is_refused_when_the_dag_is_parsed(self, make_instance):
        with pytest.raises(errors.BiginConfigurationError, match="can ask people"):
            make_instance(on_unknown_outcome="ask")

    def test_a_template_is_refused_before_the_first_request(self, make_instance, sandbox):
        instance = make_instance(on_unknown_outcome="{{ 'ask' }}")
        instance.task.on_unknown_outcome = "ask"  # as it is rendered
        with pytest.raises(AirflowFailException, match="can ask people"):
            instance.run()
        assert sandbox.log() == []
