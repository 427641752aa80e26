"""The operator that reads records."""

from __future__ import annotations

import csv
import json

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.version_compat import AirflowFailException


@pytest.fixture
def make_task(hook):
    from airflow_provider_bigin.operators.bigin import BiginRecordsOperator

    return lambda **arguments: BiginRecordsOperator(
        **{"task_id": "records", "fields": ["Last_Name", "Email"], **arguments}
    )


def test_the_records_of_a_criterion(make_task):
    (record,) = make_task(criteria="(Last_Name:equals:Lovelace)").execute({})
    assert record["id"] == "5000000000000000101"
    assert record["Email"] == "ada.lovelace@example.org"


def test_all_records_of_a_module_beyond_the_first_two_thousand(make_task, sandbox):
    ids = sandbox.add_contacts(2300)
    records = make_task(limit=5000).execute({})
    assert {record["id"] for record in records} > set(ids)
    assert len(records) == len({record["id"] for record in records})


def test_no_records_are_no_error(make_task):
    assert make_task(criteria="(Last_Name:equals:Nobody)").execute({}) == []


def test_half_a_list_is_no_list(make_task, sandbox):
    sandbox.add_contacts(20)
    with pytest.raises(AirflowFailException, match="more than 20 such records"):
        make_task(limit=20).execute({})


@pytest.mark.parametrize("name", ["records.csv", "records.jsonl"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_records_in_a_file(make_task, sandbox, tmp_path, name, scheme):
    sandbox.add_contacts(450)
    result = make_task(limit=1, output_path=f"{scheme}{tmp_path}/{name}").execute({})
    text = (tmp_path / name).read_text()
    read = csv.DictReader(text.splitlines()) if name.endswith("csv") else map(json.loads, text.splitlines())
    records = {record["id"]: record for record in read}
    assert result["count"] == len(records) > 450
    assert records["5000000000000000101"]["Last_Name"] == "Lovelace"


def test_another_kind_of_file_is_refused_before_anything_is_read(make_task, sandbox, tmp_path):
    with pytest.raises(AirflowFailException, match=r"must end in \.csv or \.jsonl"):
        make_task(output_path=f"{tmp_path}/records.xlsx").execute({})
    assert sandbox.counts()["records"] == 0


def test_criteria_that_bigin_does_not_understand_are_not_tried_again(make_task):
    with pytest.raises(AirflowFailException, match="INVALID_QUERY"):
        make_task(criteria="Last_Name is Lovelace").execute({})


@pytest.mark.parametrize(
    "arguments",
    [
        {"fields": "First_Name,Email"},  # Bigin would be asked for the fields F, i, r ...
        {"fields": None},
        {"fields": ["Email", 5]},
        {"limit": None},
        {"module": None},
    ],
    ids=str,
)
def test_arguments_that_cannot_be_used_are_named(make_task, sandbox, arguments):
    (name,) = arguments
    with pytest.raises(AirflowFailException, match=f"{name}: .*"):
        make_task(**arguments).execute({})
    assert sandbox.counts()["records"] == 0


def test_an_outage_is_left_to_a_retry(make_task, sandbox):
    sandbox.fault("records", "500_before", times=None)
    with pytest.raises(errors.BiginServerError):
        make_task().execute({})
