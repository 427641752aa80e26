"""What is left of the tries before, as the journal's entries tell it."""

from __future__ import annotations

import json

import pytest

from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.intent import Intent
from airflow_provider_bigin.delivery.journal import (
    KEY_PREFIX,
    Announced,
    Entry,
    Result,
    Strays,
    addressee_of,
    read_entry,
    recall,
)
from airflow_provider_bigin.delivery.message import Message
from airflow_provider_bigin.delivery.outcome import Outcome
from airflow_provider_bigin.delivery.task_try import TaskTry

MAIL = Mail.compose(to="ada@example.org", subject="Hello")
INTENT = Intent.of("Contacts", "1", MAIL, since=100.0, until=190.0, marker="m")
SENT = Result("ada", Outcome("already_sent", "1", "id-1"))
FAILED = Result("grace", Outcome("failed", "2", error="INVALID_DATA", detail="no"))


class Store(dict):
    def set(self, key, value):
        self[key] = value


def task_try(*entries, number=2, max_tries=3, first_number=1):
    store = Store({f"{KEY_PREFIX}.{number}": entry for number, entry in enumerate(entries)})
    return TaskTry(
        identity=("dag", "run", "task", -1),
        number=number,
        max_tries=max_tries,
        first_number=first_number,
        begun_at=0.0,
        store=store,
        ensure_wanted=lambda: None,
    )


def entry(*, results=None, open=None, max_tries=3, epoch=1, is_complete=False):
    return json.loads(json.dumps(Entry(max_tries, epoch, results or {}, open or {}, is_complete).as_json()))


def test_an_entry_comes_back_as_it_was():
    written = Entry(3, 1, {"a": SENT, "b": FAILED}, {"c": Announced("eve", INTENT)}, is_complete=True)
    assert read_entry(json.loads(json.dumps(written.as_json()))) == written


def test_a_first_try_has_no_history():
    history = recall(task_try(number=1))
    assert (history.length, history.epoch, history.is_whole, history.was_cleared) == (0, 1, True, False)


def test_results_add_up_and_only_the_last_intents_are_open():
    history = recall(
        task_try(
            entry(open={"a": Announced("ada", INTENT), "b": Announced("grace", INTENT)}),
            entry(results={"a": SENT}, open={"b": Announced("grace", INTENT)}),
            entry(results={"b": FAILED}, open={"c": Announced("eve", INTENT)}),
        )
    )
    assert set(history.results) == {"a", "b"}
    assert set(history.open) == {"c"}
    assert history.claimed == {"id-1"}


def test_clearing_after_a_success_begins_anew():
    history = recall(task_try(entry(results={"a": SENT}, is_complete=True), max_tries=7, first_number=4))
    assert history.was_cleared
    assert history.results == {}
    assert history.epoch == 4
    assert history.claimed == {"id-1"}


def test_clearing_after_a_failure_goes_on_and_tries_what_was_refused_again():
    history = recall(task_try(entry(results={"a": SENT, "b": FAILED}), max_tries=7, first_number=4))
    assert history.was_cleared
    assert set(history.results) == {"a"}
    assert history.epoch == 1


def test_a_retry_after_a_clear_sees_only_what_was_done_since():
    later = Result("ada", Outcome("already_sent", "1", "id-2"))
    history = recall(
        task_try(
            entry(results={"a": SENT}, is_complete=True),
            entry(results={"a": later}, max_tries=7, epoch=4),
            number=5,
            max_tries=7,
            first_number=4,
        )
    )
    assert not history.was_cleared
    assert history.results == {"a": later}
    assert history.claimed == {"id-1", "id-2"}


def test_a_retry_after_a_success_that_airflow_did_not_hear_of():
    history = recall(task_try(entry(results={"a": SENT}, is_complete=True)))
    assert set(history.results) == {"a"}


@pytest.mark.parametrize(
    "damage",
    ["text", 7, [], {}, {"version": 99}, {**entry(), "results": [["a"]]}, {**entry(), "epoch": "1"}],
    ids=str,
)
def test_a_damaged_entry_leaves_the_history_incomplete(damage):
    history = recall(task_try(entry(results={"a": SENT}), damage))
    assert not history.is_whole
    assert set(history.results) == {"a"}


def test_a_stray_is_found_by_its_addressee_once():
    message = Message(RecordRef("Contacts", "1"), MAIL)
    result = Result(addressee_of(message), Outcome("already_sent", "1", "id-1"))
    strays = Strays(recall(task_try(entry(results={"old": result, "kept": result}))), present=["kept", "new"])
    assert strays.take(message) == "old"
    assert strays.take(message) is None


def test_whom_a_mail_is_for_does_not_depend_on_names_order_or_case():
    mails = [
        Mail.compose(to="Ada <ada@example.org>, b@example.org", cc="c@example.org"),
        Mail.compose(to="B@example.org, ADA@example.org", bcc="c@example.org", subject="Other"),
        Mail.compose(to="ada@example.org, b@example.org"),
    ]
    first, same, other = (addressee_of(Message(RecordRef("Contacts", "1"), mail)) for mail in mails)
    assert first == same != other
    assert addressee_of(Message(RecordRef("Contacts", "2"), mails[0])) != first
