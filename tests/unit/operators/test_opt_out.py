"""Contacts who have opted out of e-mail."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.api.errors import BiginMailsLeftError
from airflow_provider_bigin.version_compat import AirflowFailException
from tests.unit.operators.rows import people, statuses

OPTED_OUT = "5000000000000000103"


@pytest.fixture
def rows(sandbox):
    """Two contacts to mail and two who have opted out, alternating."""
    ids = sandbox.add_records(
        "Contacts", [{"Email": f"no{index}@example.org", "Email_Opt_Out": True} for index in range(2)]
    )
    unwilling = [
        {"record_id": record_id, "to": f"no{index}@example.org", "name": f"No {index}"}
        for index, record_id in enumerate(ids)
    ]
    return [row for pair in zip(people(sandbox, 2), unwilling, strict=True) for row in pair]


def test_one_mail_fails_at_once_and_says_so(make_instance, sandbox):
    with pytest.raises(AirflowFailException, match=r"opted out of e-mail.*Email_Opt_Out:equals:false"):
        make_instance(record_id=OPTED_OUT).run()
    assert (sandbox.counts()["send_mail"], sandbox.counts()["records"]) == (1, 1)


def test_of_many_they_fail_nothing(make_bulk_instance, rows):
    instance = make_bulk_instance(rows)
    result = instance.run()
    assert statuses(instance) == ["sent", "opted_out", "sent", "opted_out"]
    assert (result["sent"], result["opted_out"], result["failed"]) == (2, 2, 0)
    assert result["rows"][1]["error"] == "NO_PERMISSION"


def test_if_all_have_opted_out_there_was_nothing_to_do(make_bulk_instance, rows):
    for fail_on in ("any", "all", "never"):
        make_bulk_instance(rows[1::2], task_id=fail_on, fail_on=fail_on).run()


def test_many_of_them_end_no_run_and_cost_one_read_each(make_bulk_instance, sandbox):
    ids = sandbox.add_records("Contacts", [{"Email": "no@example.org", "Email_Opt_Out": True}] * 100)
    rows = [{"record_id": record_id, "to": "no@example.org", "name": record_id} for record_id in ids]
    result = make_bulk_instance([*rows, *people(sandbox, 5)]).run()
    assert (result["opted_out"], result["sent"]) == (100, 5)
    assert (sandbox.counts()["send_mail"], sandbox.counts()["records"]) == (105, 100)


@pytest.mark.parametrize("store", ["store", "variables"], indirect=True)
def test_a_retry_reports_the_same_and_asks_nobody(make_bulk_instance, sandbox, rows, clock):
    sandbox.fault("send_mail", "record_locked", record_id=rows[0]["record_id"])
    instance = make_bulk_instance(rows)
    with pytest.raises(BiginMailsLeftError):
        instance.run()
    assert statuses(instance) == ["failed", "opted_out", "sent", "opted_out"]
    posts = sandbox.counts()["send_mail"]
    instance.retry()
    instance.run()
    assert statuses(instance) == ["sent", "opted_out", "already_sent", "opted_out"]
    assert instance.xcoms["return_value"]["rows"][1]["error"] == "NO_PERMISSION"
    assert (sandbox.counts()["send_mail"], sandbox.counts()["records"]) == (posts + 1, 2)


@pytest.mark.parametrize("store", ["store", "variables"], indirect=True)
def test_who_has_changed_his_mind_is_mailed_by_a_clear(make_bulk_instance, sandbox, rows, clock):
    sandbox.fault("send_mail", "no_permission", record_id=rows[0]["record_id"])
    instance = make_bulk_instance(rows)
    with pytest.raises(AirflowFailException):
        instance.run()
    assert statuses(instance) == ["failed", "opted_out", "sent", "opted_out"]
    sandbox.add_records("Contacts", [{"id": rows[1]["record_id"], "Email": rows[1]["to"]}])
    instance.clear(sandbox.now())
    instance.run()
    assert statuses(instance) == ["sent", "sent", "already_sent", "opted_out"]


def test_a_clear_of_what_was_green_sends_all_again(make_bulk_instance, sandbox, rows, store, clock):
    if store is None:
        pytest.skip("where nothing is kept a clear is in doubt")
    instance = make_bulk_instance(rows)
    instance.run()
    instance.clear(sandbox.now())
    instance.run()
    assert statuses(instance) == ["sent", "opted_out", "sent", "opted_out"]
    assert sandbox.mail_count() == 4
