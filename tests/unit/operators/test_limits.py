"""Lasting limits are waited out without a worker slot: the same try runs again later."""

from __future__ import annotations

import logging
from datetime import timedelta

import airflow
import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.version_compat import (
    AirflowFailException,
    AirflowRescheduleException,
    can_reschedule,
)
from tests.task_instance import StateStore
from tests.unit.operators.rows import people

HOUR, DAY = 3600, 86400
#: The sandbox's organization is three hours ahead of UTC.
OFFSET = 3 * HOUR

needs_reschedule = pytest.mark.skipif(not can_reschedule(), reason="this Airflow can put off sensors only")


def wait_of(instance, clock):
    """Run a try that has to wait and return for how many seconds."""
    with pytest.raises(AirflowRescheduleException) as wait:
        instance.run()
    return wait.value.reschedule_date.timestamp() - clock.time()


def wait_out(instance, clock):
    """Run a try that has to wait, advance the clock, restart it, and return how long it waited."""
    seconds = wait_of(instance, clock)
    clock.sleep(seconds)
    instance.run_again()
    return seconds


@needs_reschedule
class TestUntilWhen:
    @pytest.fixture
    def instance(self, make_instance):
        return make_instance(retries=0)

    @pytest.fixture(autouse=True)
    def store(self, tmp_path):
        return StateStore(tmp_path / "state.db")

    @pytest.mark.parametrize(
        ("on", "fault", "seconds"),
        [
            ("send_mail", {"fault": "429_credits"}, HOUR),
            ("send_mail", {"fault": "429_credits", "retry_after": 7 * HOUR}, 7 * HOUR),
            ("send_mail", {"fault": "429_concurrency", "retry_after": 90}, 90),
            ("send_mail", {"fault": "daily_limit", "retry_after": 10}, 60),
            ("files", {"fault": "429_credits"}, HOUR),
        ],
        ids=str,
    )
    def test_what_the_answer_says_else_by_the_limit(
        self, make_instance, sandbox, clock, tmp_path, on, fault, seconds
    ):
        (tmp_path / "report.txt").write_text("report")
        sandbox.fault(on, **fault)
        instance = make_instance(retries=0, files=tmp_path / "report.txt")
        assert wait_out(instance, clock) == pytest.approx(seconds, abs=30)
        assert instance.run() == sandbox.mails()[0]["message_id"]
        assert sandbox.mail_count() == 1

    def test_the_mails_of_a_day_come_back_at_the_organizations_midnight(self, instance, sandbox, clock):
        sandbox.advance(-(clock.time() + OFFSET) % DAY + 20 * HOUR)
        sandbox.settings(daily_mail_limit=0)
        assert wait_out(instance, clock) == pytest.approx(4 * HOUR, abs=30)

    @pytest.mark.parametrize("scopes", [[], ["ZohoBigin.org.READ"]], ids=["may not read it", "may"])
    def test_where_the_time_zone_cannot_be_read_in_an_hour(
        self, instance, sandbox, clock, scopes, monkeypatch
    ):
        needed = ["ZohoBigin.send_mail.all.CREATE", *scopes]
        sandbox.settings(scopes=needed)
        if scopes:
            from airflow_provider_bigin.sandbox import seed

            monkeypatch.setitem(seed.ORG, "time_zone", "../../etc/passwd")
        sandbox.fault("send_mail", "daily_limit")
        assert wait_of(instance, clock) == pytest.approx(HOUR, abs=30)

    def test_a_throttled_token_is_asked_for_after_its_rest(self, instance, sandbox, clock):
        sandbox.throttle_tokens(HOUR)
        assert wait_out(instance, clock) == pytest.approx(60, abs=30)
        assert not clock.waited[:-1]  # nobody waited in the slot

    def test_a_short_wait_is_no_reason_to_leave_the_slot(self, instance, sandbox, clock):
        sandbox.fault("send_mail", "429_concurrency", retry_after=60)
        instance.run()
        assert sandbox.mail_count() == 1

    def test_no_answer_is_believed_that_asks_for_years(self, make_instance, sandbox, clock):
        sandbox.fault("send_mail", "429_credits", retry_after=10**15)
        instance = make_instance(limit_wait=timedelta.max)
        assert wait_of(instance, clock) == pytest.approx(7 * DAY, abs=30)


@needs_reschedule
class TestHowLong:
    def test_all_waits_count_from_the_first(self, make_instance, sandbox, clock, store):
        instance = make_instance(limit_wait=timedelta(hours=2.5))
        sandbox.fault("send_mail", "429_credits", times=None)
        for _ in range(2):
            wait_out(instance, clock)
        if store is None:
            return
        with pytest.raises(
            errors.BiginCreditLimitError, match=r"hours. The limit lasts until .* UTC, longer than"
        ):
            instance.run()
        instance.retry()
        with pytest.raises(errors.BiginCreditLimitError, match="limit_wait"):
            instance.run()
        instance.clear(sandbox.now())
        wait_out(instance, clock)

    @pytest.mark.parametrize("limit_wait", [None, timedelta(0), timedelta(minutes=59)], ids=str)
    def test_or_not_at_all(self, make_instance, sandbox, limit_wait):
        sandbox.fault("send_mail", "429_credits")
        instance = make_instance(limit_wait=limit_wait)
        with pytest.raises(errors.BiginCreditLimitError):
            instance.run()
        instance.retry()
        instance.run()
        assert sandbox.mail_count() == 1

    def test_many_mails_say_until_when_it_lasts(self, make_bulk_instance, sandbox, clock, store):
        if store is None:
            pytest.skip("after the first mail it does not wait there")
        sandbox.fault("send_mail", "429_credits")
        instance = make_bulk_instance(people(sandbox, 3), limit_wait=timedelta(minutes=10))
        with pytest.raises(errors.BiginMailsLeftError, match=r"The limit lasts until .* UTC"):
            instance.run()

    def test_a_number_of_seconds_is_none(self, make_instance, sandbox):
        with pytest.raises(AirflowFailException, match="limit_wait: 60 must be a timedelta"):
            make_instance(limit_wait=60).run()


@needs_reschedule
class TestTheSameTryAgain:
    def test_seven_mails_at_three_a_day(self, make_bulk_instance, sandbox, clock, store, caplog):
        caplog.set_level(logging.INFO)
        sandbox.settings(daily_mail_limit=3)
        rows = people(sandbox, 7)
        instance = make_bulk_instance(rows, retries=0, limit_wait=timedelta(days=3))
        if store is None:  # a try of the same number would not know what was sent
            with pytest.raises(AirflowFailException, match="3 sent"):
                instance.run()
            return
        for left in (4, 1):
            wait_out(instance, clock)
            assert f"with {left} of 7 mails left" in caplog.text
        result = instance.run()
        assert (result["sent"], result["already_sent"]) == (1, 6)
        assert sandbox.mail_counts() == {row["record_id"]: 1 for row in rows}
        assert "example.org" not in caplog.text
        if "variables" in store.path.name:
            assert store.stored() == {}

    def test_with_nothing_kept_it_may_wait_before_its_first_mail(self, make_bulk_instance, sandbox, clock):
        sandbox.fault("send_mail", "429_credits", times=2)
        rows = people(sandbox, 5)
        instance = make_bulk_instance(rows, retries=0, max_concurrency=1)
        for _ in range(2):
            wait_out(instance, clock)
        instance.run()
        assert sandbox.mail_counts() == {row["record_id"]: 1 for row in rows}

    def test_what_was_open_is_looked_for(self, make_bulk_instance, sandbox, clock, store):
        if store is None:
            pytest.skip("an open mail is no reason to wait there")
        rows = people(sandbox, 3)
        sandbox.fault("send_mail", "lost_answer", record_id=rows[0]["record_id"])
        sandbox.fault("emails", "429_credits", times=None)
        instance = make_bulk_instance(rows, retries=0, max_concurrency=1)
        wait_out(instance, clock)
        sandbox.clear_faults()
        result = instance.run()
        assert result["already_sent"] == 3
        assert sandbox.mail_counts() == {row["record_id"]: 1 for row in rows}

    def test_a_limit_of_the_search_for_what_may_have_been_sent(self, make_instance, sandbox, clock, store):
        if store is None:
            pytest.skip("a second try is no reason to wait there")
        sandbox.fault("send_mail", "record_locked")
        instance = make_instance(record_id=None, retries=1)
        with pytest.raises(errors.BiginRecordLockedError):
            instance.run()
        for key in store.stored():
            store.set(key, {"version": 99})
        instance.retry()
        sandbox.fault("records", "429_credits")
        wait_out(instance, clock)
        instance.run()
        assert sandbox.mail_count() == 1

    def test_cleared_while_it_waits(self, make_bulk_instance, sandbox, clock, store):
        if store is None:
            pytest.skip("it does not wait there")
        sandbox.settings(daily_mail_limit=2)
        rows = people(sandbox, 3)
        instance = make_bulk_instance(rows, retries=0)
        wait_of(instance, clock)
        instance.clear(sandbox.now())
        wait_out(instance, clock)
        instance.run()
        assert sandbox.mail_counts() == {row["record_id"]: 1 for row in rows}

    def test_a_refusal_is_reported_when_all_is_settled(self, make_bulk_instance, sandbox, clock, store):
        if store is None:
            pytest.skip("where nothing is kept, what was refused is tried again")
        rows = people(sandbox, 3)
        sandbox.fault("send_mail", "item_error", record_id=rows[0]["record_id"])
        sandbox.fault("send_mail", "429_credits", record_id=rows[2]["record_id"])
        instance = make_bulk_instance(rows, retries=0, max_concurrency=1)
        wait_out(instance, clock)
        with pytest.raises(AirflowFailException, match="1 sent, 1 already sent, 1 failed"):
            instance.run()

    def test_what_cannot_be_written_down_is_no_wait(self, make_instance, sandbox, store, monkeypatch):
        if store is None:
            pytest.skip("nothing is written there")
        sandbox.throttle_tokens(HOUR)
        instance = make_instance()

        def refuse(*args, **how):
            raise OSError("no supervisor")

        monkeypatch.setattr(store, "set", refuse)
        with pytest.raises(errors.BiginJournalError):
            instance.run()

    def test_an_operator_inside_another_task_does_not_put_that_off(self, make_task, make_instance, sandbox):
        sandbox.fault("send_mail", "429_credits")
        context = make_instance(task_id="outer").context()
        with pytest.raises(errors.BiginCreditLimitError):
            make_task().execute(context)


@pytest.mark.parametrize(
    ("version", "can"),
    [
        ("2.11.2", False),
        ("3.0.6", False),
        ("3.1.6", False),
        ("3.1.7", True),
        ("3.2.0b1", True),
        ("3.3.2", True),
    ],
)
def test_airflow_can_put_off_any_task_from_some_version_on(monkeypatch, version, can):
    monkeypatch.setattr(airflow, "__version__", version)
    assert can_reschedule() is can


def test_before_that_the_try_fails_as_without_a_wait(make_instance, sandbox, clock, monkeypatch):
    monkeypatch.setattr(airflow, "__version__", "3.1.6")
    sandbox.fault("send_mail", "daily_limit")
    instance = make_instance()
    with pytest.raises(errors.BiginDailyLimitError, match="midnight"):
        instance.run()
    instance.retry()
    instance.run()
    assert sandbox.mail_count() == 1
