from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.records import parse_module, parse_record_id


@pytest.mark.parametrize("written", ["5000000000000000101", " 5000000000000000101 ", 5000000000000000101])
def test_record_id(written):
    assert parse_record_id(written) == "5000000000000000101"


@pytest.mark.parametrize(
    "address",
    [
        "https://bigin.zoho.eu/bigin/org20090012345/Home#/contacts/5000000000000000101",
        " https://bigin.zoho.com/bigin/org2009/Home#/contacts/5000000000000000101/emails?from=1234567 ",
        "https://bigin.zoho.in/5000000000000000999/deals/5000000000000000101/",
    ],
)
def test_record_id_of_a_pasted_address(address):
    assert parse_record_id(address) == "5000000000000000101"


@pytest.mark.parametrize(
    "address",
    ["https://bigin.zoho.eu/", "https://x/" + "1" * 30, "javascript:5000000000000000101", "https:/../1"],
)
def test_an_address_without_a_record(address):
    with pytest.raises(BiginValidationError, match="record_id"):
        parse_record_id(address)


@pytest.mark.parametrize(
    "written",
    ["", None, True, -1, 5e18, "12/../34", "..", "5000000000000000101/actions", "५०००", "0x10", "1 2", ["1"]],
)
def test_no_record_id(written):
    with pytest.raises(BiginValidationError, match="record_id"):
        parse_record_id(written)


@pytest.mark.parametrize(
    ("written", "name"),
    [("Contacts", "Contacts"), ("companies", "Accounts"), ("Deals", "Pipelines"), ("Pipelines", "Pipelines")],
)
def test_module(written, name):
    assert parse_module(written) == name


@pytest.mark.parametrize("written", ["Products", "Contacts/1", "", None])
def test_no_module(written):
    with pytest.raises(BiginValidationError, match="Contacts, Companies"):
        parse_module(written)


@given(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.text())
)
@pytest.mark.parametrize("parse", [parse_module, parse_record_id])
def test_any_input_gives_a_value_or_our_error(parse, value):
    try:
        assert parse(value).isalnum()
    except BiginValidationError:
        return
