"""The account's metadata: its modules and fields."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.sandbox.seed import FIELDS, MODULES
from tests.sandbox.conftest import Client


@pytest.fixture(autouse=True)
def scopes(sandbox):
    sandbox.settings(scopes=["ZohoBigin.settings.ALL", "ZohoBigin.modules.READ"])


def test_modules(bigin: Client):
    modules = bigin.get("/settings/modules").json()["modules"]
    assert [module["api_name"] for module in modules] == list(MODULES)
    assert [module["plural_label"] for module in modules] == ["Contacts", "Companies", "Pipelines"]


@pytest.mark.parametrize("module", MODULES)
def test_a_record_has_the_fields_that_its_module_names(bigin: Client, module):
    fields = bigin.get("/settings/fields", params={"module": module}).json()["fields"]
    assert len({field["id"] for field in fields}) == len(fields) == len(FIELDS[module])
    [record] = bigin.get(f"/{module}", params={"fields": "Owner", "per_page": 1}).json()["data"]
    [record] = bigin.get(f"/{module}/{record['id']}").json()["data"]
    assert {"id"} | {field["api_name"] for field in fields} == record.keys()


def test_a_lookup_names_its_module(bigin: Client):
    fields = bigin.get("/settings/fields", params={"module": "Pipelines"}).json()["fields"]
    lookups = {field["api_name"]: field["lookup"] for field in fields if field["data_type"] == "lookup"}
    assert {name: lookup["module"]["api_name"] for name, lookup in lookups.items()} == {
        "Contact_Name": "Contacts",
        "Account_Name": "Accounts",
    }


@pytest.mark.parametrize(
    ("query", "code"), [({}, "REQUIRED_PARAM_MISSING"), ({"module": "Leads"}, "INVALID_MODULE")]
)
def test_fields_of_no_module(bigin: Client, query, code):
    answer = bigin.get("/settings/fields", params=query)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
