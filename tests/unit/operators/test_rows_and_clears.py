"""Upstream changes its rows, people clear tasks and edit ``retries``: each row gets its mail once per go."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_bigin.api.errors import BiginMailsLeftError
from airflow_provider_bigin.delivery import store as delivery_store
from airflow_provider_bigin.version_compat import AirflowFailException
from tests.task_instance import StateStore, TaskInstance
from tests.unit.operators.rows import people, statuses

pytestmark = pytest.mark.parametrize("store", ["store", "variables"], indirect=True)

DONE, SENT, DOUBT = "already_sent", "sent", "unknown"
#: How the rows a, b, c, and d change after a try in which d was refused, and the next try's status of each.
CHANGES = {
    "none": (lambda a, b, c, d: [a, b, c, d], [DONE, DONE, DONE, SENT]),
    "another order": (lambda a, b, c, d: [d, c, b, a], [SENT, DONE, DONE, DONE]),
    "other order of keys": (lambda *r: [dict(reversed(row.items())) for row in r], [DONE, DONE, DONE, SENT]),
    "one is added": (
        lambda a, b, c, d: [a, {**a, "to": "new@example.org"}, b, c, d],
        [DONE, SENT, DONE, DONE, SENT],
    ),
    "one is removed": (lambda a, b, c, d: [a, c, d], [DONE, DONE, SENT]),
    "one is doubled": (lambda a, b, c, d: [a, a, b, c, d], [DONE, SENT, DONE, DONE, SENT]),
    "one that is edited": (lambda a, b, c, d: [{**a, "name": "Ada"}, b, c, d], [DOUBT, DONE, DONE, SENT]),
    "the refused one is edited": (
        lambda a, b, c, d: [a, b, c, {**d, "name": "Ada"}],
        [DONE, DONE, DONE, SENT],
    ),
    "one is edited, its mail is not": (lambda a, b, c, d: [{**a, "x": 1}, b, c, d], [DONE, DONE, DONE, SENT]),
    "other people": (lambda a, b, c, d: [{**a, "to": "new@example.org"}, b, c, d], [SENT, DONE, DONE, SENT]),
    "two swap their values": (
        lambda a, b, c, d: [{**a, "name": b["name"]}, {**b, "name": a["name"]}, c, d],
        [DOUBT, DOUBT, DONE, SENT],
    ),
}
each_change = pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)


@pytest.fixture
def refused(make_bulk_instance, sandbox, clock):
    """Return a failed task with three rows sent and the last one refused."""

    def make(**changes):
        rows = people(sandbox, 4)
        sandbox.fault("send_mail", "item_error", record_id=rows[3]["record_id"])
        instance = make_bulk_instance(rows, **changes)
        with pytest.raises(AirflowFailException, match="1 failed"):
            instance.run()
        return instance, rows

    return make


@pytest.mark.parametrize("policy", ["check", "resend"])
@each_change
def test_rows_that_change_before_a_clear(refused, make_bulk_task, sandbox, change, expected, policy):
    instance, rows = refused()
    instance.task = make_bulk_task(change(*rows), fail_on="never", on_unknown_outcome=policy)
    instance.clear(sandbox.now())
    instance.run()
    if policy == "resend":
        expected = [SENT if status == DOUBT else status for status in expected]
    assert statuses(instance) == expected
    assert sandbox.mail_count() == 3 + expected.count(SENT)


@each_change
def test_rows_that_change_before_a_retry(
    make_bulk_instance, make_bulk_task, kill_after, sandbox, clock, change, expected
):
    """The worker died before the last POST: the mail that was refused above is absent here."""
    rows = people(sandbox, 4)
    instance = make_bulk_instance(rows, max_concurrency=1)
    kill_after(instance, 4, sent=False)
    instance.task = make_bulk_task(change(*rows), fail_on="never")
    instance.run()
    assert statuses(instance) == expected
    assert sandbox.mail_count() == 3 + expected.count(SENT)


def test_an_edited_template_sends_nothing_again(refused, make_bulk_task, sandbox):
    instance, rows = refused()
    instance.task = make_bulk_task(rows, subject="Edited", content="<p>Edited</p>")
    instance.clear(sandbox.now())
    instance.run()
    assert statuses(instance) == [DONE, DONE, DONE, SENT]
    assert [mail["subject"] for mail in sandbox.mails()].count("Edited") == 1


def test_two_mails_to_one_person_are_two(make_bulk_instance, sandbox, kill_after, clock):
    (row,) = people(sandbox, 1)
    rows = [{**row, "name": "invoice 1"}, {**row, "name": "invoice 2"}]
    instance = make_bulk_instance(rows, max_concurrency=1)
    kill_after(instance, 2, sent=False)
    instance.run()
    assert sorted(mail["subject"] for mail in sandbox.mails()) == ["Dear invoice 1", "Dear invoice 2"]
    instance.clear(sandbox.now())
    instance.run()
    assert sandbox.mail_count() == 4


@pytest.mark.parametrize(("before", "after"), [(3, 0), (2, 1), (1, 0), (0, 3), (1, 5)], ids=str)
@pytest.mark.parametrize("tries", [1, 2])
class TestEditedRetries:
    def run(self, make_instance, sandbox, before, tries):
        instance = make_instance(retries=before, limit_wait=None)
        if tries == 2 and before:
            sandbox.fault("send_mail", "429_credits")
        first = instance.run_to_the_end()
        return instance, first

    def test_a_clear_after_success_sends_again(
        self, make_instance, make_task, sandbox, clock, before, after, tries
    ):
        instance, first = self.run(make_instance, sandbox, before, tries)
        for number in range(2, 5):
            instance.task = make_task(retries=after)
            instance.clear(sandbox.now())
            assert instance.run() != first
            assert sandbox.mail_count() == number

    def test_a_retry_after_success_sends_nothing(
        self, make_instance, make_task, sandbox, clock, before, after, tries, store
    ):
        if "variables" in store.path.name:
            pytest.skip("what is green is forgotten there: a retry after it finds its mail, in doubt")
        instance, first = self.run(make_instance, sandbox, before, tries)
        instance.task = make_task(retries=after)
        instance.retry()
        assert instance.run() == first
        assert sandbox.mail_count() == 1

    def test_a_clear_after_failure_goes_on(
        self, make_instance, make_task, sandbox, clock, kill_after, before, after, tries
    ):
        instance = make_instance(retries=before)
        kill_after(instance, 1)
        instance.try_number -= 1
        instance.task = make_task(retries=after)
        instance.clear(sandbox.now())
        message_id = instance.run()
        assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]


class TestClears:
    def test_two_in_a_row_are_one(self, refused, sandbox):
        instance, _ = refused()
        instance.clear(sandbox.now())
        instance.clear(sandbox.now())
        instance.run()
        assert statuses(instance) == [DONE, DONE, DONE, SENT]

    def test_each_one_after_a_success_sends_all_again(self, make_bulk_instance, sandbox, clock):
        instance = make_bulk_instance(people(sandbox, 3))
        for go in range(1, 4):
            assert instance.run()["sent"] == 3
            assert sandbox.mail_count() == 3 * go
            instance.clear(sandbox.now())

    def test_of_another_task_is_none(self, make_bulk_instance, sandbox, clock, store):
        instance = make_bulk_instance(people(sandbox, 3), limit_wait=None)
        sandbox.fault("send_mail", "429_credits", skip=1, times=None)
        with pytest.raises(BiginMailsLeftError):
            instance.run()
        sandbox.clear_faults()
        instance.clear_number += 1
        instance.retry()
        instance.run()
        assert sandbox.mail_count() == 3

    def test_after_a_last_write_that_failed_finds_all_and_says_what_to_do(
        self, make_bulk_instance, sandbox, clock, store, monkeypatch, caplog
    ):
        caplog.set_level(logging.INFO)
        instance = make_bulk_instance(people(sandbox, 5))
        keep = StateStore.set

        def refuse_second(self, key, value, **how):
            if value["results"]:
                raise OSError("no supervisor")
            keep(self, key, value)

        def refuse_deletion(key):
            raise OSError("no supervisor")

        with monkeypatch.context() as patch:
            patch.setattr(StateStore, "set", refuse_second)
            patch.setattr(delivery_store, "delete_database_variable", refuse_deletion)
            assert instance.run()["sent"] == 5
        assert "clear it once more to send them again" in caplog.text
        instance.clear(sandbox.now())
        assert instance.run()["already_sent"] == 5
        assert "clear the task once more" in caplog.text
        assert sandbox.mail_count() == 5
        instance.clear(sandbox.now())
        assert instance.run()["sent"] == 5

    def test_green_by_fail_on_only_stays_incomplete(self, make_bulk_instance, sandbox, clock):
        rows = people(sandbox, 3)
        sandbox.fault("send_mail", "item_error", record_id=rows[0]["record_id"])
        instance = make_bulk_instance(rows, fail_on="never")
        instance.run()
        assert statuses(instance) == ["failed", SENT, SENT]
        instance.clear(sandbox.now())
        instance.run()
        assert statuses(instance) == [SENT, DONE, DONE]

    def test_with_state_that_has_expired_119_of_120_are_not_mailed_again(
        self, make_bulk_instance, sandbox, clock, store, monkeypatch
    ):
        """``airflow state-store clean`` deletes what is not stored forever."""
        rows = people(sandbox, 120)
        sandbox.fault("send_mail", "item_error", record_id=rows[7]["record_id"])
        instance = make_bulk_instance(rows, retries=0)
        kept, keep = {}, StateStore.set

        def note(self, key, value, *, retention="variables do not expire"):
            kept[key] = retention
            keep(self, key, value)

        monkeypatch.setattr(StateStore, "set", note)
        with pytest.raises(AirflowFailException, match="119 sent, 1 failed"):
            instance.run()
        for key in [key for key, retention in kept.items() if retention is None]:
            store.delete(key)
        sandbox.advance(40 * 86400)
        instance.clear(sandbox.now())
        instance.run()
        assert sorted(set(sandbox.mail_counts().values())) == [1]
        assert statuses(instance).count(DONE) == 119


class TestSameNames:
    """Staging and production have the same DAG, run, and connection, but separate databases."""

    @pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "not sent"])
    def test_each_has_its_own_mail(self, make_task, sandbox, clock, store, kill_after, tmp_path, is_sent):
        if "variables" in store.path.name:
            pytest.skip("one process has one database")
        production, staging = (
            TaskInstance(make_task(), store=StateStore(tmp_path / name), start=sandbox.now())
            for name in ("production", "staging")
        )
        production_id = production.run()
        kill_after(staging, 1, sent=is_sent)
        assert staging.run() != production_id
        assert sandbox.mail_count() == 2


@pytest.mark.parametrize("number", [2, 4])
def test_operators_in_one_task(make_task, sandbox, store, clock, number):
    """A ``@task`` that calls ``execute()`` of several operators: each mails its recipient once."""
    rows = people(sandbox, number)
    outer = TaskInstance(make_task(task_id="outer"), store=store, start=sandbox.now())

    def run(last=number):
        context = outer.context()
        return [
            make_task(task_id="inner", record_id=row["record_id"], to=row["to"]).execute(context)
            for row in rows[:last]
        ]

    run(number - 1)
    assert sandbox.mail_count() == number - 1
    outer.retry()
    run()
    assert set(sandbox.mail_counts().values()) == {1}
    assert sandbox.mail_count() == number
    outer.clear(sandbox.now())  # as far as they know, the outer task has failed for good
    run()
    assert sandbox.mail_count() == number
