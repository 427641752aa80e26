from __future__ import annotations

from datetime import datetime

import pytest

from airflow_provider_bigin.bulk.rows import read_rows, row_keys

ADA, GRACE = {"to": "ada@example.org", "n": 1}, {"to": "grace@example.org", "n": 1}


def test_a_row_keeps_its_key_wherever_it_stands():
    (ada, grace), (other, again_ada) = row_keys([ADA, GRACE]), row_keys([GRACE, ADA])
    assert ada != grace
    assert (again_ada, other) == (ada, grace)


def test_the_order_of_a_rows_own_keys_does_not_matter():
    assert row_keys([ADA]) == row_keys([dict(reversed(ADA.items()))])


def test_equal_rows_have_keys_of_their_own():
    first, second, third = row_keys([ADA, ADA, ADA])
    assert len({first, second, third}) == 3
    assert row_keys([ADA, GRACE, ADA])[::2] == [first, second]


@pytest.mark.parametrize(
    "change", [{"n": 2}, {"n": "1"}, {"n": None}, {"n": [1]}, {"m": 1}, {"n": datetime(2026, 1, 1)}], ids=str
)
def test_any_other_content_is_another_row(change):
    assert row_keys([{**ADA, **change}]) != row_keys([ADA])


@pytest.mark.parametrize(
    "row", ["text", None, 7, {1: 2, "a": 3}, {("a",): 1}, {"time": datetime(2026, 1, 1)}]
)
def test_whatever_a_row_is_it_has_a_key(row):
    assert row_keys([row]) == row_keys([row])


def test_rows_come_from_any_iterable():
    assert read_rows(row for row in (ADA, GRACE)) == [ADA, GRACE]
    assert read_rows((ADA,)) == [ADA]
