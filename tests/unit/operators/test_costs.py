"""How often lists and contents are read and state is written."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from airflow_provider_bigin.api.errors import BiginOutcomePendingError
from tests.unit.operators.rows import people, statuses

ADA = "5000000000000000101"
VIEWS, PAGE = 2, 10
pytestmark = pytest.mark.parametrize("store", ["store"], indirect=True)


@pytest.fixture
def looks(monkeypatch):
    """Record how many suspects each lookup has."""
    from airflow_provider_bigin.delivery import lookup

    numbers, look = [], lookup.look

    def count(client, suspects, scene, **how):
        numbers.append(len(suspects))
        return look(client, suspects, scene, **how)

    monkeypatch.setattr(lookup, "look", count)
    return numbers


@pytest.mark.parametrize("single_mail", [True, False], ids=["contents readable", "contents unreadable"])
def test_300_rows_of_one_record(make_bulk_instance, sandbox, kill_after, clock, looks, single_mail):
    sandbox.settings(single_mail=single_mail)
    rows = [{"record_id": ADA, "to": f"p{n}@example.org", "name": f"Person {n}"} for n in range(300)]
    instance = make_bulk_instance(rows)
    kill_after(instance, 280)
    sent = sandbox.mail_count()
    instance.run()
    assert sandbox.mail_count() == 300
    assert len({mail["to"][0]["email"] for mail in sandbox.mails()}) == 300
    assert statuses(instance).count("sent") == 300 - sent
    pages = VIEWS * (sent // PAGE + 1)
    candidates = looks[0] if single_mail else 1
    assert sandbox.counts()["emails"] <= len(looks) * (pages + candidates)


@pytest.mark.parametrize("fault", ["lost_answer", "dropped"])
def test_a_lost_answer_reads_each_page_and_candidate_once_a_look(make_instance, sandbox, clock, looks, fault):
    for _ in range(25):
        sandbox.add_mail("Contacts", ADA, to=["x@example.net"], subject="News")
    for _ in range(4):
        sandbox.add_mail("Contacts", ADA, to=["ada.lovelace@example.org"], subject="News")
    sandbox.fault("send_mail", fault)
    with suppress(BiginOutcomePendingError):
        make_instance().run()
    assert 1 <= len(looks) <= 5
    assert sandbox.counts()["emails"] <= len(looks) * (VIEWS * 3 + 4 + 1)


def test_a_record_with_more_than_2000_mails_is_in_doubt(
    make_instance, sandbox, kill_after, clock, monkeypatch
):
    from airflow_provider_bigin.api import emails
    from airflow_provider_bigin.version_compat import AirflowFailException

    monkeypatch.setattr(emails, "MAX_ENTRIES", 40)
    monkeypatch.setattr(emails, "MAX_PAGES", 4)
    instance = make_instance(retries=0)
    kill_after(instance, 1, sent=False)
    for _ in range(45):
        sandbox.add_mail("Contacts", ADA, to=["x@example.net"], subject="News")
    with pytest.raises(AirflowFailException, match="more than"):
        instance.run()
    assert sandbox.mail_count() == 45


@pytest.mark.parametrize("number", [30, 600])
def test_one_write_for_30_mails_at_most(make_bulk_instance, sandbox, clock, store, number):
    instance = make_bulk_instance(people(sandbox, number), max_concurrency=10)
    instance.run()
    assert store.writes <= max(2, number / 30)
    assert max(len(json.dumps(value)) for value in store.stored().values()) <= 64 * 1024
    assert sandbox.counts()["emails"] == 0


def test_a_single_mail_takes_two_writes_and_one_post(make_instance, sandbox, store):
    make_instance().run()
    assert store.writes == 2
    assert sandbox.counts()["send_mail"] == 1
    assert sandbox.counts()["emails"] == 0
