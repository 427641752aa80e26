"""At-most-once delivery by the operator, across tries as Airflow makes them."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.version_compat import AirflowFailException
from tests.task_instance import StateStore, TaskInstance


@pytest.fixture
def killed(kill_after, make_instance):
    """Return a task instance whose first try died before or after its POST."""

    def make(place, **changes):
        instance = make_instance(**changes)
        kill_after(instance, 1, sent=place == "after")
        return instance

    return make


def test_one_mail_one_id(make_instance, sandbox):
    instance = make_instance()
    message_id = instance.run()
    assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]
    assert instance.xcoms == {"message_id": message_id, "return_value": message_id}


def test_success_says_what_was_sent_by_whom_and_when(make_instance, sandbox, caplog):
    caplog.set_level(logging.INFO)
    message_id = make_instance(cc="cc@example.org", scheduled_time="2027-01-01T08:00:00+01:00").run()
    assert (
        "Sent 'Hello' from ada@example.com to 2 recipients, scheduled for 2027-01-01T08:00:00+01:00."
        f" Its id is {message_id}, and it is filed under Contacts 5000000000000000101."
    ) in caplog.text


@pytest.mark.parametrize(
    "fault", ["lost_answer", "500_after", "502_html_after", "truncated", "success_without_id"]
)
def test_a_lost_answer_is_found_in_the_same_try(make_instance, sandbox, fault, clock):
    sandbox.fault("send_mail", fault)
    message_id = make_instance().run()
    assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]


@pytest.mark.parametrize(
    "fault", ["dropped", "500_before", "502_html", "503_before", "empty_200", "custom_error"]
)
def test_what_did_not_arrive_is_sent_by_the_next_try(make_instance, sandbox, fault, clock):
    sandbox.fault("send_mail", fault)
    instance = make_instance()
    with pytest.raises(errors.BiginOutcomePendingError, match="not among its record's e-mails"):
        instance.run()
    assert sum(clock.waited) >= 60 + 30
    instance.retry()
    message_id = instance.run()
    assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]


@pytest.mark.parametrize("fault", ["429_concurrency", "429_plain", "invalid_token"])
def test_what_was_surely_not_sent_is_repeated_within_the_try(make_instance, sandbox, fault, clock):
    sandbox.fault("send_mail", fault, times=2 if fault.startswith("429") else 1)
    make_instance().run()
    assert len(sandbox.mails()) == 1


def test_the_wait_that_bigin_asks_for_is_the_least(make_instance, sandbox, clock):
    sandbox.fault("send_mail", "429_concurrency", retry_after=17)
    make_instance().run()
    assert sum(clock.waited) >= 17 - 1  # the time that calls take counts, too


@pytest.mark.parametrize(
    ("fault", "error_class"),
    [
        ("429_credits", errors.BiginCreditLimitError),
        ("daily_limit", errors.BiginDailyLimitError),
        ("record_locked", errors.BiginRecordLockedError),
    ],
)
def test_what_lasts_longer_fails_the_try_at_once_and_is_sent_by_a_later_one(
    make_instance, sandbox, clock, fault, error_class
):
    sandbox.fault("send_mail", fault)
    instance = make_instance(limit_wait=None)
    with pytest.raises(error_class):
        instance.run()
    assert sandbox.counts()["send_mail"] == 1
    instance.retry()
    instance.run()
    assert len(sandbox.mails()) == 1


def test_a_mail_whose_new_token_is_refused_too_is_sent_by_a_later_try(make_instance, sandbox):
    sandbox.fault("send_mail", "invalid_token", times=2)
    instance = make_instance()
    with pytest.raises(errors.BiginTokenRefusedError):
        instance.run()
    instance.retry()
    instance.run()
    assert len(sandbox.mails()) == 1


@pytest.mark.parametrize("fault", ["scope_mismatch", "item_error"])
def test_what_is_refused_for_good_is_not_retried(make_instance, sandbox, fault):
    sandbox.fault("send_mail", fault)
    with pytest.raises(AirflowFailException) as error:
        make_instance().run()
    # What a person has to fix is in the message, so the traceback has no more of the package than it must.
    assert sum("airflow_provider_bigin" in str(frame.path) for frame in error.traceback) == 1


def test_a_worker_that_died_after_the_post(killed, sandbox):
    instance = killed("after")
    assert [mail["message_id"] for mail in sandbox.mails()] == [instance.run()]


def test_a_worker_that_died_before_the_post(killed, sandbox, clock):
    instance = killed("before")
    instance.run()
    assert len(sandbox.mails()) == 1


def test_a_worker_that_died_and_a_list_that_lags(killed, sandbox, clock):
    sandbox.settings(emails_lag=20)
    instance = killed("after")
    assert [mail["message_id"] for mail in sandbox.mails()] == [instance.run()]


@pytest.mark.parametrize(
    "setting",
    [
        {"single_mail": False},
        {"strip_markup": True},
        {"emails_default_empty": True},
        {"emails_type": False},
        {"rewrite_sender": True},
        {"reorder_recipients": True},
        {"emails_key": "email_related_list"},
    ],
    ids=str,
)
def test_the_mail_is_found_however_the_list_shows_it(killed, sandbox, clock, setting):
    sandbox.settings(**setting)
    instance = killed("after", to="ada.lovelace@example.org, grace.hopper@example.org", cc="cc@example.org")
    assert [mail["message_id"] for mail in sandbox.mails()] == [instance.run()]


@pytest.mark.parametrize("outage", ["500", "CANNOT_PROCESS", "429"])
def test_an_outage_of_the_list_fails_the_try_and_the_next_one_looks_again(killed, sandbox, clock, outage):
    instance = killed("after")
    sandbox.settings(emails_outage=outage)
    with pytest.raises(errors.BiginOutcomePendingError, match="cannot be read at the moment"):
        instance.run()
    instance.retry()
    sandbox.settings(emails_outage=None)
    assert [mail["message_id"] for mail in sandbox.mails()] == [instance.run()]


@pytest.mark.parametrize("outage", ["scope", "plan"])
def test_a_list_that_may_not_be_read_is_for_a_person(killed, sandbox, clock, outage):
    instance = killed("after")
    sandbox.settings(emails_outage=outage)
    with pytest.raises(
        AirflowFailException, match=r"cannot be read.*Look at the e-mails of Contacts 5000000000000000101"
    ):
        instance.run()
    assert len(sandbox.mails()) == 1


def test_fail_never_sends_again_without_a_person(killed, sandbox, clock):
    instance = killed("before", on_unknown_outcome="fail")
    with pytest.raises(AirflowFailException, match="clear the task to send it"):
        instance.run()
    assert sandbox.mails() == []
    instance.clear(sandbox.now())
    instance.run()
    assert len(sandbox.mails()) == 1


def test_resend_sends_again_when_in_doubt(killed, sandbox, clock):
    instance = killed("before", on_unknown_outcome="resend")
    sandbox.settings(emails_outage="scope")
    instance.run()
    assert len(sandbox.mails()) == 1


def test_a_mail_of_somebody_else_leaves_doubt(killed, sandbox, hook, clock):
    instance = killed("before")
    hook.send_mail(
        record_id="5000000000000000101",
        to="ada.lovelace@example.org",
        subject="Lunch?",
        from_email="ada@example.com",
    )
    with pytest.raises(AirflowFailException, match="resembles it"):
        instance.run()
    assert len(sandbox.mails()) == 1


def test_an_older_mail_with_the_same_subject_is_not_taken(killed, sandbox, hook, clock, store):
    if store is None:
        pytest.skip("where nothing is kept the window reaches back to the start of the run")
    hook.send_mail(
        record_id="5000000000000000101",
        to="ada.lovelace@example.org",
        subject="Hello",
        from_email="ada@example.com",
        content="<p>Hi</p>",
    )
    sandbox.advance(70)  # times of whole minutes may be rounded
    instance = killed("before")
    instance.run()
    assert len(sandbox.mails()) == 2


def test_two_tasks_with_the_same_mail(make_task, sandbox, clock, store, tmp_path):
    twins = [
        TaskInstance(
            make_task(task_id=task_id),
            store=StateStore(tmp_path / task_id) if store else None,
            start=sandbox.now(),
        )
        for task_id in ("one", "two")
    ]
    sandbox.fault("send_mail", "lost_answer", times=2)
    ids = [twin.run() for twin in twins]
    assert {mail["message_id"] for mail in sandbox.mails()} == set(ids)
    assert len(set(ids)) == 2


def test_two_tasks_with_the_same_mail_and_no_mark_to_tell(
    killed, kill_after, make_task, sandbox, clock, store, tmp_path
):
    sandbox.settings(single_mail=False)
    one = killed("after", task_id="one")
    two = TaskInstance(
        make_task(task_id="two"), store=StateStore(tmp_path / "two") if store else None, start=one.start
    )
    kill_after(two, 1)
    for twin in (one, two):
        with pytest.raises(AirflowFailException, match="2 e-mails from that time that could be it"):
            twin.run()
    assert len(sandbox.mails()) == 2


def test_a_scheduled_mail_that_is_not_found_is_for_a_person(killed, sandbox, clock):
    instance = killed("before", scheduled_time="2036-12-24T18:00:00+01:00")
    with pytest.raises(AirflowFailException, match="not among its record's e-mails"):
        instance.run()
    assert sandbox.mails() == []


def test_a_scheduled_mail_is_found(killed, sandbox, clock):
    instance = killed("after", scheduled_time="2036-12-24T18:00:00+01:00")
    assert [mail["message_id"] for mail in sandbox.mails()] == [instance.run()]


def test_clearing_after_a_success_sends_another(make_instance, sandbox, clock, store):
    instance = make_instance()
    first = instance.run()
    instance.clear(sandbox.now())
    if store is None:
        with pytest.raises(AirflowFailException, match="which may be from before the task was cleared"):
            instance.run()
        instance.task.on_unknown_outcome = "resend"
        instance.clear(sandbox.now())
    second = instance.run()
    assert [mail["message_id"] for mail in sandbox.mails()] == [second, first]


def test_a_retry_after_a_clear_belongs_to_the_second_mail(make_instance, sandbox, clock, store):
    instance = make_instance(on_unknown_outcome="check" if store else "resend")
    first = instance.run()
    sandbox.advance(600)
    instance.clear(sandbox.now())
    sandbox.fault("send_mail", "lost_answer")
    second = instance.run()
    assert [mail["message_id"] for mail in sandbox.mails()] == [second, first]


def test_without_durable_a_retry_may_send_twice(make_instance, sandbox, clock):
    sandbox.fault("send_mail", "lost_answer")
    instance = make_instance(durable=False)
    with pytest.raises(errors.BiginOutcomeUnknownError):
        instance.run()
    instance.retry()
    instance.run()
    assert len(sandbox.mails()) == 2
    assert "class=" not in sandbox.mails()[0]["content"]


def test_a_try_that_airflow_has_given_up_on_sends_nothing(make_instance, sandbox):
    instance = make_instance()
    instance.state = "failed"
    with pytest.raises(errors.BiginStaleAttemptError):
        instance.run()
    assert sandbox.mails() == []


def test_no_address_in_the_log_of_a_delivery(killed, sandbox, clock, caplog):
    caplog.set_level(logging.INFO)
    killed("after").run()
    assert "it was found" in caplog.text
    assert "example.org" not in caplog.text


@pytest.mark.parametrize("store", ["store"], indirect=True)
class TestWithStore:
    def test_a_retry_after_the_send_sends_nothing(self, make_instance, sandbox):
        instance = make_instance()
        first = instance.run()
        instance.retry()
        assert instance.run() == first
        assert sandbox.counts()["send_mail"] == 1

    def test_a_retry_after_the_send_needs_no_files(self, make_instance, sandbox, tmp_path):
        file = tmp_path / "report.txt"
        file.write_text("x")
        instance = make_instance(files=[str(file)])
        first = instance.run()
        file.unlink()
        instance.retry()
        assert instance.run() == first

    def test_an_intent_that_took_long_to_write_is_written_anew(self, make_instance, sandbox, monkeypatch):
        set_state, slow = StateStore.set, [100]

        def set_slowly(self, key, value, **kwargs):
            set_state(self, key, value, **kwargs)
            if slow:
                sandbox.advance(slow.pop())

        monkeypatch.setattr(StateStore, "set", set_slowly)
        sandbox.fault("send_mail", "lost_answer")
        message_id = make_instance().run()
        assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]

    def test_after_a_clear_a_mail_to_others_is_not_taken_for_the_present_one(self, make_instance, sandbox):
        sandbox.settings(emails_lag=300)
        sandbox.fault("send_mail", "lost_answer")
        instance = make_instance()
        with pytest.raises(errors.BiginOutcomePendingError):
            instance.run()
        sandbox.advance(300)
        instance.task = make_instance(to="grace.hopper@example.org").task
        instance.clear(sandbox.now())
        message_id = instance.run()
        newest, oldest = sandbox.mails()
        assert newest["message_id"] == message_id != oldest["message_id"]

    def test_a_write_that_fails_sends_nothing(self, make_instance, sandbox, monkeypatch, clock):
        def refuse(*args, **kwargs):
            raise OSError("no supervisor")

        instance = make_instance()
        with monkeypatch.context() as patch:
            patch.setattr(StateStore, "set", refuse)
            with pytest.raises(errors.BiginJournalError, match=r"\(OSError\), so nothing is sent"):
                instance.run()
        assert sandbox.mails() == []
        instance.retry()
        instance.run()
        assert len(sandbox.mails()) == 1

    def test_a_write_that_fails_after_the_send_is_no_failure(
        self, make_instance, sandbox, monkeypatch, clock
    ):
        instance = make_instance()
        with monkeypatch.context() as patch:
            set_state = StateStore.set

            def refuse_complete(self, key, value, **kwargs):
                if value["complete"]:
                    raise OSError("no supervisor")
                set_state(self, key, value)

            patch.setattr(StateStore, "set", refuse_complete)
            first = instance.run()
        instance.retry()
        assert instance.run() == first
        assert len(sandbox.mails()) == 1

    @pytest.mark.parametrize("damage", ["text", {"version": 99}, [], 7])
    def test_with_a_damaged_state_a_mail_that_is_found_may_be_of_an_earlier_go(
        self, make_instance, sandbox, store, damage, clock
    ):
        instance = make_instance()
        instance.run()
        store.set(next(iter(store.stored())), damage)
        instance.retry()
        with pytest.raises(AirflowFailException, match="mail of this task that could be it"):
            instance.run()
        assert len(sandbox.mails()) == 1

    def test_what_is_looked_for_is_what_was_sent_not_what_a_retry_renders(
        self, killed, make_task, sandbox, clock
    ):
        instance = killed("after")
        instance.task = make_task(subject="Rendered anew", content="<p>Anew</p>")
        assert [mail["message_id"] for mail in sandbox.mails()] == [instance.run()]

    def test_a_mail_to_other_people_than_before_is_another(self, killed, make_task, sandbox, clock):
        instance = killed("after")
        instance.task = make_task(to="grace.hopper@example.org")
        message_id = instance.run()
        newest, oldest = sandbox.mails()
        assert newest["message_id"] == message_id != oldest["message_id"]

    def test_edited_retries_do_not_look_like_a_clear(self, make_instance, make_task, sandbox, clock):
        instance = make_instance()
        first = instance.run()
        instance.retry()
        instance.task = make_task(retries=1)
        assert instance.run() == first

    def test_clearing_after_an_open_intent_finds_the_mail_and_says_so(self, killed, sandbox, clock, caplog):
        caplog.set_level(logging.INFO)
        instance = killed("after")
        instance.clear(sandbox.now())
        first = instance.run()
        assert [mail["message_id"] for mail in sandbox.mails()] == [first]
        assert "To send it again, clear the task once more." in caplog.text
        instance.clear(sandbox.now())
        assert instance.run() != first
        assert len(sandbox.mails()) == 2

    def test_a_replaced_secret_changes_nothing(self, killed, sandbox, clock, connect, make_task):
        sandbox.settings(single_mail=False)
        instance = killed("after")
        token = sandbox_token(sandbox)
        connect(sandbox, "other", access_token=token)
        instance.task = make_task(bigin_conn_id="other")
        assert [mail["message_id"] for mail in sandbox.mails()] == [instance.run()]


def sandbox_token(sandbox):
    import requests

    extra = sandbox.connection()
    answer = requests.post(
        f"{sandbox.url}/oauth/v2/token",
        data={
            "grant_type": "refresh_token",
            "client_id": extra["login"],
            "client_secret": extra["password"],
            "refresh_token": extra["extra"]["refresh_token"],
        },
        timeout=10,
    )
    return answer.json()["access_token"]
