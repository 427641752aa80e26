"""State that was edited, deleted, or came from elsewhere: nobody is mailed twice, and no try hangs."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.api.errors import BiginError
from airflow_provider_bigin.delivery import engine, journal
from airflow_provider_bigin.version_compat import AirflowFailException
from tests.unit.operators.rows import people

pytestmark = pytest.mark.parametrize("store", ["store", "variables"], indirect=True)

EDITS = {
    "a text": lambda head: "text",
    "a number": lambda head: 7,
    "a list": lambda head: [],
    "empty": lambda head: {},
    "another version": lambda head: {**head, "version": 99},
    "no items": lambda head: {**head, "open": None},
    "a time before all time": lambda head: {**head, "run_start": -1.0},
    "a billion segments": lambda head: {**head, "segments": [0, 10**9]},
    "some segments": lambda head: {**head, "segments": [0, 5]},
    "windows without end": lambda head: {**head, "open": [[*i[:-1], [0.0, 4e9]] for i in head["open"]]},
    "windows of the past": lambda head: {**head, "open": [[*i[:-1], [0.0, 1.0]] for i in head["open"]]},
    "windows at 1e300": lambda head: {**head, "open": [[*i[:-1], [1e300, 1e300]] for i in head["open"]]},
    "asked for later": lambda head: {**head, "asked": 99},
    "huge texts": lambda head: {**head, "owner": "x" * 10**6},
}


def edit(store, change):
    for key, value in store.stored().items():
        if "segment" not in key:
            store.set(key, change(value))


def ends_green(instance):
    try:
        instance.run_to_the_end()
    except (AirflowFailException, BiginError):
        return False
    return True


@pytest.mark.parametrize("is_sent", [True, False], ids=["sent", "not sent"])
@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_an_edited_head_of_one_mail(make_instance, sandbox, kill_after, clock, store, change, is_sent):
    instance = make_instance(retries=2)
    kill_after(instance, 1, sent=is_sent)
    edit(store, change)
    began = sandbox.now()
    is_green = ends_green(instance)
    assert is_green <= sandbox.mail_count() <= 1
    assert sandbox.now() - began < 3600


@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_an_edited_head_of_many(make_bulk_instance, sandbox, kill_after, clock, store, change):
    rows = people(sandbox, 6)
    instance = make_bulk_instance(rows, retries=2, max_concurrency=1)
    kill_after(instance, 4)
    edit(store, change)
    is_green = ends_green(instance)
    assert max(sandbox.mail_counts().values()) == 1
    assert sandbox.mail_count() == 6 or not is_green


@pytest.mark.parametrize("lost", ["head", "a segment", "all segments"])
@pytest.mark.parametrize("event", ["retry", "clear"])
def test_lost_state_of_many_mails_mails_nobody_again(
    make_bulk_instance, sandbox, kill_after, clock, store, lost, event, monkeypatch
):
    monkeypatch.setattr(engine, "BLOCK_SIZE", 4)
    monkeypatch.setattr(journal, "MAX_RESULTS", 5)
    rows = people(sandbox, 20)
    instance = make_bulk_instance(rows, retries=0, max_concurrency=2)
    kill_after(instance, 18)
    arrived = sandbox.mail_count()
    segments = [key for key in store.stored() if "segment" in key]
    assert segments
    heads = [key for key in store.stored() if key not in segments]
    for key in {"head": heads, "a segment": segments[:1], "all segments": segments}[lost]:
        store.delete(key)
    if event == "clear":
        instance.try_number -= 1
        instance.clear(sandbox.now())
    if lost == "head":  # their markers belong to a go that is no longer known
        with pytest.raises(AirflowFailException, match="unknown"):
            instance.run()
    else:
        instance.run()
        assert sandbox.mail_count() == 20
    assert max(sandbox.mail_counts().values()) == 1
    assert sandbox.mail_count() >= arrived


def test_state_that_is_deleted_between_two_tries_below_airflow_3_3_is_an_unknown_past(
    make_instance, sandbox, kill_after, clock, store
):
    instance = make_instance()
    kill_after(instance, 1)
    for key in store.stored():
        store.delete(key)
    if "variables" in str(store.path):
        with pytest.raises(AirflowFailException, match="could be it"):
            instance.run()
        assert sandbox.mail_count() == 1
    else:  # an order to forget (H4)
        instance.run()
        assert sandbox.mail_count() == 2


def test_a_retry_waits_no_longer_if_the_first_try_died_before_it_stored_anything(
    make_instance, sandbox, clock, store
):
    instance = make_instance()
    instance.retry()
    begun = clock.time()
    instance.run()
    assert sandbox.mail_count() == 1
    assert clock.time() - begun < 120


def test_a_row_whose_lost_mail_was_found_is_still_recognized_when_it_is_edited(
    make_bulk_instance, make_bulk_task, sandbox, clock, store, monkeypatch
):
    monkeypatch.setattr(engine, "BLOCK_SIZE", 1)
    monkeypatch.setattr(journal, "MAX_RESULTS", 0)
    rows = people(sandbox, 2)
    sandbox.fault("send_mail", "record_locked", record_id=rows[1]["record_id"], times=2)
    instance = make_bulk_instance(rows, max_concurrency=1)
    for tries in range(2):
        with pytest.raises(BiginError):
            instance.run()
        instance.retry()
        for key in store.stored():
            if "segment" in key and not tries:
                store.delete(key)
    instance.task = make_bulk_task([{**rows[0], "name": "another"}, rows[1]])
    with pytest.raises(AirflowFailException):
        instance.run()
    assert sandbox.mail_counts() == {row["record_id"]: 1 for row in rows}
