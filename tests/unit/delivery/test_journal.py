"""What is written about a task's mails, and how later tries read it."""

from __future__ import annotations

import json

import pytest

from airflow_provider_bigin.api.errors import BiginJournalError, BiginStaleAttemptError
from airflow_provider_bigin.delivery.journal import LEASE, WRITE_PATIENCE, Journal, read_claims, recall
from airflow_provider_bigin.delivery.state import Result, text
from tests.unit.delivery.in_memory import ADA, make_intent

BLOCK = 40


@pytest.fixture(params=["store", "variables"])
def kind(request):
    """Return the place where the state is kept."""
    return request.param


@pytest.fixture
def clock(airflow):
    return airflow.clock


@pytest.fixture
def begin(make_attempt, clock, kind):
    """Start a try and return its journal and the go that it continues."""

    def begin(number=1, **changes):
        attempt = make_attempt(number, kind=kind, **changes)
        go = recall(attempt)
        journal = Journal(attempt, go, clock, lambda: (clock.now, clock.now + 105))
        journal.begin()
        return journal, go

    return begin


def announce(journal, *rows, **changes):
    journal.record_intents({(row, 0): make_intent(row, **changes) for row in rows})


def result(row, status="done", attempt=1, **told):
    return Result(make_intent(row).item, attempt, status, ADA, **{"message_id": f"id {row}", **told})


def send(journal, *rows, attempt=1, **told):
    announce(journal, *rows, attempt=attempt)
    for row in rows:
        journal.ensure_postable((row, 0))
        journal.record_outcome(result(row, attempt=attempt, **told))


def words(go):
    return {row: word.status for (row, _), word in go.words.items()}


def opened(go):
    return sorted(row for row, _ in go.open)


def head_key(airflow):
    (key,) = (key for key in airflow.values if "segment" not in key)
    return key


def edit_head(airflow, **changes):
    key = head_key(airflow)
    airflow.values[key] = json.dumps({**json.loads(airflow.values[key]), **changes})


class TestTries:
    def test_the_first_try_begins_a_go(self, begin):
        _, go = begin()
        assert (go.is_new, go.is_known, go.asked, go.first, go.count) == (True, True, 1, 0, 0)

    def test_a_retry_continues_it(self, begin):
        journal, first = begin()
        send(journal, "a")
        announce(journal, "b", "c")
        _, go = begin(2)
        assert (go.id, go.salt, go.is_new, go.is_complete) == (first.id, first.salt, False, False)
        assert (words(go), opened(go)) == ({"a": "done"}, ["b", "c"])

    def test_an_intent_outweighs_an_older_refusal(self, begin):
        journal, _ = begin()
        announce(journal, "a")
        journal.record_outcome(result("a", "refused", message_id=None, error="INVALID_DATA"))
        announce(journal, "a")
        _, go = begin(2)
        assert (words(go), opened(go)) == ({}, ["a"])
        assert set(go.stored().values()) == {"open"}

    def test_a_later_word_replaces_an_earlier_one(self, begin):
        journal, _ = begin()
        announce(journal, "a")
        journal.record_outcome(result("a", "refused", message_id=None))
        send(journal, "a")
        journal.save()
        assert words(begin(2)[1]) == {"a": "done"}

    def test_an_intent_that_is_withdrawn_is_none(self, begin):
        journal, _ = begin()
        announce(journal, "a", "b")
        journal.discard_intent(("a", 0))
        journal.save()
        assert opened(begin(2)[1]) == ["b"]

    def test_a_clear_before_the_end_continues_the_go_and_is_remembered(self, begin):
        journal, first = begin()
        send(journal, "a")
        journal.save()
        cleared, go = begin(2, max_tries=4, clear_number=1)
        assert (go.id, go.asked, words(go)) == (first.id, 2, {"a": "done"})
        announce(cleared, "b")
        _, go = begin(3, max_tries=4, clear_number=1)
        assert (go.id, go.asked, opened(go)) == (first.id, 2, ["b"])

    @pytest.mark.parametrize("kind", ["store"], indirect=True)
    def test_a_retry_after_a_complete_go_sends_nothing(self, begin):
        journal, first = begin()
        send(journal, "a")
        journal.complete()
        _, go = begin(2)
        assert (go.id, go.is_complete, words(go)) == (first.id, True, {"a": "done"})

    def test_a_clear_after_a_complete_go_begins_a_new_one(self, begin):
        journal, first = begin()
        send(journal, "a")
        journal.complete()
        _, go = begin(2, max_tries=4, clear_number=1)
        assert go.is_new
        assert go.id != first.id
        assert (words(go), opened(go), go.asked, go.is_known) == ({}, [], 2, True)

    def test_with_edited_retries_a_clear_is_still_seen(self, begin):
        journal, first = begin(max_tries=1, retries=1)
        send(journal, "a")
        journal.complete()
        _, go = begin(2, max_tries=1, retries=0, clear_number=1)
        assert go.is_new
        assert go.id != first.id

    def test_a_read_that_fails_is_not_nothing(self, make_attempt, kind, monkeypatch):
        attempt = make_attempt(2, kind=kind)

        def fail(name):
            raise OSError("no supervisor")

        monkeypatch.setattr(attempt.store, "read", fail)
        with pytest.raises(BiginJournalError, match="could not be read from Airflow"):
            recall(attempt)


class TestSegments:
    def deliver(self, begin, number, **told):
        journal, _ = begin()
        rows = [f"{n:016x}" for n in range(number)]
        for start in range(0, number, BLOCK):
            send(journal, *rows[start : start + BLOCK], **told)
        return journal

    @pytest.mark.parametrize("told", [{}, {"detail": text("x" * 1000), "error": "E" * 40}], ids=["", "long"])
    def test_many_mails_are_few_and_small_writes(self, begin, airflow, told):
        self.deliver(begin, 1000, **told).save()
        heads = [name for name in airflow.written if "segment" not in name]
        assert len(heads) <= 1000 / BLOCK + 2
        assert max(map(len, airflow.values.values())) <= 64 * 1024
        if not told:
            assert len(airflow.written) <= 1000 / 30

    def test_they_are_all_known_to_the_next_try(self, begin):
        self.deliver(begin, 1000).save()
        _, go = begin(2)
        assert len(go.words) == 1000
        assert go.is_known

    def test_a_segment_is_never_changed(self, begin, airflow):
        self.deliver(begin, 1000).save()
        segments = [name for name in airflow.written if "segment" in name]
        assert len(segments) == len(set(segments)) == 4

    def test_a_head_counts_a_segment_only_once_it_is_written(self, begin, airflow, monkeypatch):
        journal = self.deliver(begin, 200)
        keep = airflow.set

        def keep_heads_only(key, value, **how):
            if "segment" in key:
                raise OSError("no supervisor")
            keep(key, value, **how)

        send(journal, "a", "b")
        with monkeypatch.context() as patch:
            patch.setattr(airflow, "set", keep_heads_only)
            journal.save()
        _, go = begin(2)
        assert (go.count, len(go.words), opened(go)) == (0, 200, ["a", "b"])

    @pytest.mark.parametrize("damage", [None, "text", {"version": 99}, "other go"], ids=str)
    def test_without_one_of_them_the_go_is_not_whole(self, begin, airflow, damage):
        self.deliver(begin, 500).save()
        key = next(key for key in airflow.values if "segment" in key)
        if damage == "other go":
            airflow.values[key] = airflow.values[key].replace('"go": "', '"go": "x')
        elif damage is None:
            del airflow.values[key]
        else:
            airflow.values[key] = json.dumps(damage)
        _, go = begin(2)
        assert not go.is_known
        assert 0 < len(go.words) < 500

    def test_where_words_are_missing_a_refusal_may_not_be_the_last(self, begin, airflow):
        journal = self.deliver(begin, 500)
        announce(journal, "refused")
        journal.record_outcome(result("refused", "refused", message_id=None))
        journal.save()
        assert words(begin(2)[1])["refused"] == "refused"
        del airflow.values[next(key for key in airflow.values if "segment" in key)]
        assert "refused" not in words(begin(2)[1])

    @pytest.mark.parametrize("kind", ["store"], indirect=True)
    def test_what_earlier_goes_sent_is_claimed(self, begin, make_attempt, airflow):
        journal = self.deliver(begin, 250)
        journal.complete()
        attempt = make_attempt(2, max_tries=4, clear_number=1)
        go = recall(attempt)
        ids = {f"id {n:016x}" for n in range(250)}
        assert read_claims(attempt, go) == (ids, True)
        second, _ = begin(2, max_tries=4, clear_number=1)
        send(second, "later", attempt=2)
        second.save()
        attempt = make_attempt(3, max_tries=4, clear_number=1)
        assert read_claims(attempt, recall(attempt)) == ({*ids, "id later"}, True)
        del airflow.values["airflow_provider_bigin.task.segment.0"]
        claims, is_whole = read_claims(attempt, recall(attempt))
        assert len(claims) < 251
        assert not is_whole

    @pytest.mark.parametrize("kind", ["store"], indirect=True)
    def test_a_mail_that_a_person_says_was_sent_is_a_missing_claim(self, begin, make_attempt):
        journal, _ = begin()
        send(journal, "a")
        send(journal, "b", message_id=None)
        journal.save()
        assert read_claims(make_attempt(2), recall(make_attempt(2))) == ({"id a"}, False)
        journal.complete()
        for number in (2, 3):  # in all goes that follow
            attempt = make_attempt(number, max_tries=2 + number, clear_number=number)
            journal, go = begin(number, max_tries=2 + number, clear_number=number)
            assert go.is_known
            assert read_claims(attempt, go) == ({"id a"}, False)
            journal.complete()


class TestAnswers:
    NAME = ("a", 0)

    @pytest.fixture
    def said(self, begin):
        """Return a mail in doubt that a person has decided to send."""
        journal, _ = begin()
        announce(journal, "a")
        journal.record_answer(self.NAME, "send")
        journal.save_for_wait()
        return begin()[0]

    def test_an_answer_is_kept(self, said, begin):
        _, go = begin(2)
        assert (go.answers[self.NAME].word, go.answers[self.NAME].attempt) == ("send", 1)
        assert opened(go) == ["a"]

    def test_the_next_intent_spends_it(self, said, begin):
        announce(said, "a")
        _, go = begin(2)
        assert (opened(go), go.answers) == (["a"], {})

    @pytest.mark.parametrize("name", ["a", "edited"])
    def test_an_intent_that_is_withdrawn_gives_it_back(self, said, begin, name):
        (earlier,) = begin()[1].open.values()
        said.replace(self.NAME, (name, 0))
        announce(said, name, attempt=2)
        assert begin(2)[1].answers == {}
        said.discard_intent((name, 0))
        said.save()
        _, go = begin(2)
        assert go.answers[self.NAME].word == "send"
        assert [*go.open.values()] == [earlier]

    def test_so_does_one_that_could_not_be_written(self, said, airflow):
        airflow.failing = OSError("no supervisor")
        with pytest.raises(BiginJournalError):
            announce(said, "a")
        assert said._go.answers[self.NAME].word == "send"

    @pytest.mark.parametrize("status", ["done", "refused"])
    def test_a_result_ends_it(self, said, begin, status):
        said.record_outcome(result("a", status))
        said.save()
        assert begin(2)[1].answers == {}

    def test_what_is_not_confirmed_is_no_reason_to_wait(self, said, airflow):
        airflow.failing = OSError("no supervisor")
        with pytest.raises(BiginJournalError):
            said.save_for_wait()


class TestDamage:
    @pytest.mark.parametrize(
        "damage",
        ["text", 7, [], {"version": 99}, {"open": [[float("nan")]]}, {"segments": [0, 10**9]}],
        ids=str,
    )
    @pytest.mark.parametrize("number", [1, 2])
    def test_a_damaged_head_begins_a_damaged_go_behind_all_segments(
        self, begin, airflow, make_attempt, kind, damage, number
    ):
        TestSegments().deliver(begin, 500).save()
        count = sum("segment" in key for key in airflow.values)
        if isinstance(damage, dict):
            edit_head(airflow, **damage)
        else:
            airflow.values[head_key(airflow)] = json.dumps(damage)
        journal, go = begin(number)
        assert (go.is_known, go.is_damaged, words(go), opened(go)) == (False, True, {}, [])
        assert (go.first, go.count) == (count, count)
        assert read_claims(make_attempt(number, kind=kind), go) == (set(), False)
        send(journal, "a")
        journal.save()
        _, go = begin(3)
        assert (go.is_damaged, words(go)) == (True, {"a": "done"})

    def test_a_head_that_is_gone_is_damage_too(self, begin, airflow):
        TestSegments().deliver(begin, 250).save()
        del airflow.values[head_key(airflow)]
        assert begin(2)[1].is_damaged

    @pytest.mark.parametrize("kind", ["store"], indirect=True)
    def test_an_empty_store_means_that_nothing_was_sent(self, begin):
        _, go = begin(3)
        assert (go.is_new, go.is_known) == (True, True)

    @pytest.mark.parametrize(("kind", "is_known"), [("store", True), ("variables", False)], indirect=["kind"])
    def test_state_that_is_deleted_while_a_try_waits(self, begin, is_known):
        assert begin(1, is_again=True)[1].is_known == is_known

    @pytest.mark.parametrize("kind", ["variables"], indirect=True)
    @pytest.mark.parametrize(
        ("number", "max_tries", "is_known"), [(1, 3, True), (2, 3, False), (3, 4, False), (3, 5, True)]
    )
    def test_without_a_variable_only_a_first_try_since_a_clear_knows_that_nothing_was_sent(
        self, begin, number, max_tries, is_known
    ):
        _, go = begin(number, max_tries=max_tries)
        assert go.is_known == is_known


class TestWriting:
    @pytest.mark.parametrize("pause", [1, 20])
    def test_a_write_is_repeated(self, begin, airflow, clock, pause):
        journal, _ = begin()
        airflow.failing, airflow.fails_until = OSError("no supervisor"), clock.now + pause
        send(journal, "a")
        assert clock.waited

    def test_one_that_fails_for_long_ends_the_try_and_closes_the_journal(self, begin, airflow, clock):
        journal, _ = begin()
        announce(journal, "a")
        began = clock.now
        airflow.failing = OSError("ada@example.org")
        with pytest.raises(BiginJournalError, match="OSError") as raised:
            announce(journal, "b")
        assert WRITE_PATIENCE <= clock.now - began < WRITE_PATIENCE + 10
        assert "ada" not in str(raised.value)
        airflow.failing = None
        for row in "ab":
            with pytest.raises((BiginJournalError, KeyError)):
                journal.ensure_postable((row, 0))

    def test_what_was_not_announced_is_not_open(self, begin, airflow):
        journal, go = begin()
        airflow.failing = OSError("no supervisor")
        with pytest.raises(BiginJournalError):
            announce(journal, "a")
        assert opened(go) == []
        airflow.failing = None
        journal.save()
        assert opened(begin(2)[1]) == []

    def test_a_write_that_is_refused_to_a_replaced_try_is_not_repeated(self, begin, airflow, clock):
        journal, _ = begin()
        announce(journal, "a", "b")
        journal.ensure_postable(("a", 0))
        airflow.failing, airflow.is_wanted = OSError("404 not found"), False
        with pytest.raises(BiginStaleAttemptError):
            announce(journal, "c")
        assert clock.waited == []
        with pytest.raises(BiginStaleAttemptError):
            journal.ensure_postable(("b", 0))

    def test_a_closed_journal_lets_nobody_post(self, begin):
        journal, _ = begin()
        announce(journal, "a")
        journal.close(OSError("first"))
        journal.close(OSError("second"))
        with pytest.raises(OSError, match="first"):
            journal.ensure_postable(("a", 0))

    def test_save_writes_only_what_is_new(self, begin, airflow):
        journal, _ = begin()
        send(journal, "a")
        journal.save()
        writes = len(airflow.written)
        journal.save()
        assert len(airflow.written) == writes

    def test_a_save_that_fails_is_no_failure(self, begin, airflow, caplog):
        journal, _ = begin()
        send(journal, "a")
        airflow.failing = OSError("no supervisor")
        journal.save()
        assert "could not be written" in caplog.text
        airflow.failing = None
        assert opened(begin(2)[1]) == ["a"]


class TestLease:
    def test_a_mail_leaves_within_its_lease(self, begin, airflow, clock):
        journal, _ = begin()
        announce(journal, "a")
        writes = len(airflow.written)
        clock.now += LEASE
        journal.ensure_postable(("a", 0))
        assert len(airflow.written) == writes

    def test_later_all_that_waits_is_announced_anew(self, begin, airflow, clock):
        journal, go = begin()
        announce(journal, "a", "b", "c")
        journal.ensure_postable(("a", 0))
        writes, began = len(airflow.written), clock.now
        clock.now += LEASE + 0.1
        journal.ensure_postable(("b", 0))
        journal.ensure_postable(("c", 0))
        assert len(airflow.written) == writes + 1
        windows = {row: intent.window[0] for (row, _), intent in go.open.items()}
        assert windows == {"a": began, "b": clock.now, "c": clock.now}

    def test_a_repeat_of_one_that_was_under_way_is_announced_anew_too(self, begin, airflow, clock):
        journal, go = begin()
        announce(journal, "a")
        journal.ensure_postable(("a", 0))
        clock.now += 100
        journal.ensure_postable(("a", 0))
        assert go.open["a", 0].window[0] == clock.now

    def test_a_worker_that_wakes_is_refused(self, begin, airflow, clock):
        journal, _ = begin()
        announce(journal, "a", "b")
        clock.now += 300
        airflow.failing, airflow.is_wanted = OSError("404 not found"), False
        for row in "ab":
            with pytest.raises(BiginStaleAttemptError):
                journal.ensure_postable((row, 0))

    def test_airflow_is_asked_before_each_post_but_no_more_than_once_a_second(self, begin, airflow, clock):
        journal, _ = begin()
        announce(journal, *"abc")
        asked = airflow.questions
        journal.ensure_postable(("a", 0))
        clock.now += 0.9
        journal.ensure_postable(("b", 0))
        assert airflow.questions <= asked + 1
        clock.now += 0.2
        airflow.is_wanted = False
        with pytest.raises(BiginStaleAttemptError):
            journal.ensure_postable(("c", 0))

    @pytest.mark.parametrize("kind", ["store", "variables", "none"], indirect=True)
    def test_an_answer_that_waited_for_a_frozen_worker_is_not_believed(self, begin, airflow, clock):
        journal, _ = begin()
        announce(journal, "a")
        clock.now += 2
        airflow.freezes_for = 600
        with pytest.raises(BiginStaleAttemptError):
            journal.ensure_postable(("a", 0))

    def test_one_that_takes_some_seconds_is(self, begin, airflow, clock):
        journal, _ = begin()
        announce(journal, "a")
        clock.now += 2
        airflow.freezes_for = LEASE - 3
        journal.ensure_postable(("a", 0))

    def test_writes_that_take_longer_than_the_lease_post_nothing(self, begin, airflow, clock, monkeypatch):
        journal, _ = begin()
        keep = airflow.set

        def keep_slowly(key, value, **how):
            clock.now += 2 * LEASE
            keep(key, value, **how)

        monkeypatch.setattr(airflow, "set", keep_slowly)
        announce(journal, "a")
        with pytest.raises(BiginJournalError, match="takes too long"):
            journal.ensure_postable(("a", 0))


class TestComplete:
    @pytest.mark.parametrize("kind", ["store"], indirect=True)
    def test_airflow_is_asked_freshly_and_no_complete_is_written_for_a_try_that_is_not_wanted(
        self, begin, airflow
    ):
        journal, _ = begin()
        send(journal, "a")
        airflow.is_wanted = False
        with pytest.raises(BiginStaleAttemptError):
            journal.complete()
        assert not begin(2)[1].is_complete

    def test_an_answer_that_waited_for_a_frozen_worker_is_not_believed(self, begin, airflow):
        """It would make a clear of the task, which has failed, send everything again."""
        journal, first = begin()
        send(journal, "a")
        airflow.freezes_for = 600
        with pytest.raises(BiginStaleAttemptError):
            journal.complete()
        airflow.is_wanted = True
        _, go = begin(2, max_tries=4, clear_number=1)
        assert (go.id, opened(go)) == (first.id, ["a"])

    def test_one_that_cannot_be_written_leaves_the_go_to_the_next_clear(self, begin, airflow, caplog):
        journal, first = begin()
        send(journal, "a")
        airflow.failing = OSError("no supervisor")
        journal.complete()
        assert "clear it once more to send them again" in caplog.text
        airflow.failing = None
        _, go = begin(2, max_tries=4, clear_number=1)
        assert (go.id, opened(go)) == (first.id, ["a"])


@pytest.mark.parametrize("kind", ["variables"], indirect=True)
class TestVariables:
    def test_a_go_is_written_as_it_begins(self, begin, airflow):
        begin()
        assert len(airflow.values) == 1

    def test_all_are_deleted_before_the_task_is_green_the_head_last(self, begin, airflow):
        journal = TestSegments().deliver(begin, 500)
        airflow.written.clear()
        journal.complete()
        assert airflow.values == {}
        assert [("segment" in key) for key in airflow.written] == [True, True, False]

    def test_no_more_are_deleted_once_one_is_not_confirmed(self, begin, airflow, monkeypatch):
        journal = TestSegments().deliver(begin, 500)
        journal.save()
        before = set(airflow.values)
        airflow.failing = OSError("no supervisor")
        journal.complete()
        assert set(airflow.values) == before

    def test_a_head_whose_segments_are_deleted_is_a_go_with_gaps(self, begin, airflow):
        TestSegments().deliver(begin, 500).save()
        for key in [key for key in airflow.values if "segment" in key]:
            del airflow.values[key]
        assert not begin(2)[1].is_whole

    def test_a_successor_has_replaced_this_try(self, begin, airflow):
        old, _ = begin(1)
        announce(old, "a")
        new, _ = begin(2)
        announce(new, "b")
        for write in (lambda: announce(old, "c"), lambda: old.complete()):
            with pytest.raises(BiginStaleAttemptError):
                write()
        assert opened(begin(3)[1]) == ["a", "b"]

    def test_the_same_try_run_again_continues_and_the_first_one_is_refused(self, begin):
        first, _ = begin(1)
        announce(first, "a")
        again, go = begin(1)
        assert opened(go) == ["a"]
        announce(again, "b")
        with pytest.raises(BiginStaleAttemptError):
            announce(first, "c")

    def test_an_older_try_that_wrote_late_is_overwritten(self, begin):
        old, _ = begin(1)
        announce(old, "a")
        new, _ = begin(2)
        announce(old, "late")
        announce(new, "b")
        assert opened(begin(3)[1]) == ["a", "b"]

    def test_a_try_whose_successor_was_green_does_not_put_its_head_back(self, begin, airflow, clock):
        old, _ = begin(1)
        announce(old, "a")
        new, _ = begin(2)
        send(new, "a", attempt=2)
        new.complete()
        clock.now += 2
        airflow.is_wanted = False
        with pytest.raises(BiginStaleAttemptError):
            announce(old, "b")
        assert airflow.values == {}

    @pytest.mark.parametrize(
        "changes",
        [{"run": "another"}, {"run_start": 2000.0}, {"number": 1}],
        ids=str,
    )
    def test_a_run_that_was_deleted_and_made_again_begins_a_new_go(self, begin, changes, make_attempt, kind):
        begin(1)[0].save()
        journal, first = begin(2)
        send(journal, "a", attempt=2)
        journal.save()
        changes = {"number": 2, **changes}
        attempt = make_attempt(kind=kind, **changes)
        go = recall(attempt)
        assert go.id != first.id
        assert (go.is_known, words(go)) == (True, {})
        assert read_claims(attempt, go) == ({"id a"}, True)


class TestRunAgain:
    def test_it_continues_under_the_same_number(self, begin):
        journal, first = begin()
        send(journal, "a")
        journal.save_for_wait()
        _, go = begin(is_again=True)
        assert (go.id, words(go), go.is_known) == (first.id, {"a": "done"}, True)

    def test_it_is_of_no_other_run_whenever_that_began(self, begin):
        journal, first = begin()
        journal.save_for_wait()
        assert begin(is_again=True, run_start=2000.0)[1].id == first.id

    def test_without_a_head_only_a_store_of_its_own_tells_that_nothing_was_sent(self, begin, kind):
        _, go = begin(is_again=True)
        assert go.is_known == (kind == "store")

    def test_a_head_that_is_gone_is_damage(self, begin, airflow):
        TestSegments().deliver(begin, 250).save_for_wait()
        del airflow.values[head_key(airflow)]
        assert begin(is_again=True)[1].is_damaged

    def test_the_first_wait_is_remembered_until_a_person_asks_again(self, begin):
        journal, go = begin()
        go.waiting_since = 5000.0
        journal.save_for_wait()
        journal, go = begin(2)
        assert go.waiting_since == 5000.0
        send(journal, "a", attempt=2)
        journal.save()
        assert begin(3)[1].waiting_since == 5000.0
        assert begin(4, max_tries=6, clear_number=1)[1].waiting_since is None

    def test_what_is_not_written_is_no_wait(self, begin, airflow):
        journal, _ = begin()
        airflow.failing = OSError("no supervisor")
        with pytest.raises(BiginJournalError, match="OSError"):
            journal.save_for_wait()

    def test_where_nothing_is_kept_airflow_tells_since_when(self, make_attempt):
        go = recall(make_attempt(kind="none", is_again=True))
        assert (go.is_known, go.asked, go.waiting_since) == (False, 1, 1000.0)


@pytest.mark.parametrize(
    ("number", "max_tries", "is_known", "asked"),
    [(1, 3, True, 1), (2, 3, False, 1), (3, 4, False, 2), (3, 5, False, 3)],
)
def test_where_nothing_is_kept_only_a_first_try_begins_anew(make_attempt, number, max_tries, is_known, asked):
    go = recall(make_attempt(number, kind="none", max_tries=max_tries))
    assert (go.is_known, go.asked) == (is_known, asked)


def test_a_segment_that_no_head_came_to_count_is_deleted_with_the_rest(airflow, make_attempt, clock):
    attempt = make_attempt(1, kind="variables")
    journal = Journal(attempt, recall(attempt), clock, lambda: (clock.now, clock.now + 105))
    journal.begin()
    attempt.store.write("segment.0", {"left": "by a head that could not be written"})
    send(journal, "row")
    journal.complete()
    assert airflow.values == {}


def test_whether_a_task_around_the_operator_is_green_is_not_known(airflow, make_attempt, clock, kind):
    attempt = make_attempt(1, kind=kind, is_inner=True)
    journal = Journal(attempt, recall(attempt), clock, lambda: (clock.now, clock.now + 105))
    journal.begin()
    send(journal, "row")
    journal.complete()
    go = recall(make_attempt(2, kind=kind, is_inner=True, max_tries=4, clear_number=1))
    assert words(go) == {"row": "done"}
