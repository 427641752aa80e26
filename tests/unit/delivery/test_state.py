from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bigin.delivery.identity import Item
from airflow_provider_bigin.delivery.state import (
    MAX_TEXT_LENGTH,
    VERSION,
    Answer,
    Head,
    Result,
    Segment,
    as_json,
    read_head,
    read_segment,
    text,
)
from tests.unit.delivery.in_memory import ADA, make_intent

DONE = Result(Item("r1", 0, "m", "w"), 1, "done", ADA, message_id="id-1", detail="1 blocked")
REFUSED = Result(Item("r2", 3, "m", "w"), 2, "refused", ADA, error="INVALID_DATA")
HEAD = Head(
    version=VERSION,
    go="g" * 32,
    salt="s" * 16,
    max_tries=3,
    clear_number=1,
    attempt=2,
    asked=1,
    waiting_since=None,
    complete=False,
    damaged=True,
    segments=(1, 3),
    open=(make_intent("r3", window=(1000.5, 1105.5)), make_intent("r4", scheduled="t" * 16)),
    results=(DONE, REFUSED, DONE._replace(record=None, message_id=None)),
    answers=(Answer("r3", 0, "send", 2), Answer("r5", 0, "leave", 1)),
    owner="o" * 16,
    run="2026-11-23",
    run_start=None,
)
STORED = as_json(HEAD)


def through_json(value):
    return json.loads(json.dumps(value))


def test_what_is_written_is_read_again():
    assert read_head(through_json(STORED)) == HEAD
    segment = Segment(VERSION, "g", (DONE, REFUSED))
    assert read_segment(through_json(as_json(segment))) == segment


def test_the_store_gets_nothing_that_json_changes():
    assert through_json(STORED) == STORED


@pytest.mark.parametrize("stored", [None, "text", 7, [], {}, as_json(Segment(VERSION, "g", ()))], ids=str)
def test_what_is_not_a_head(stored):
    assert read_head(stored) is None


@pytest.mark.parametrize(
    "edit",
    [
        {"salt": "another"},
        {"go": "another"},
        {"complete": True},
        {"attempt": 9},
        {"version": VERSION + 1},
        {"version": str(VERSION)},
        {"go": None},
        {"go": "g" * (MAX_TEXT_LENGTH + 1)},
        {"max_tries": "3"},
        {"max_tries": 3.5},
        {"attempt": -1},
        {"attempt": 10**400},
        {"asked": True},
        {"complete": 1},
        {"complete": "true"},
        {"segments": [0]},
        {"segments": [0, 10**300]},
        {"segments": "01"},
        {"open": {}},
        {"open": [[]]},
        {"open": [["item"] * 9]},
        {"open": STORED["open"] * 20_000},
        {"results": None},
        {"results": [[*STORED["results"][0][:2], "sent", *STORED["results"][0][3:]]]},
        {"answers": [["r3", 0, "sent", 2]]},
        {"answers": [["r3", 0, "send", "2"]]},
        {"run_start": float("nan")},
        {"run_start": float("-inf")},
        {"run_start": 1e300},
    ],
    ids=lambda edit: str(edit)[:60],
)
def test_what_is_edited_or_of_another_version_is_not_understood(edit):
    assert read_head({**STORED, **edit}) is None


@pytest.mark.parametrize("time", [float("nan"), float("inf"), 1e300, -1.0, "1000", None, 10**400], ids=str)
@pytest.mark.parametrize("place", [0, 1])
def test_a_window_of_other_times_is_not_understood(time, place):
    stored = through_json(STORED)
    stored["open"][0][-1][place] = time
    assert read_head(stored) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([*STORED]), inner),
    max_leaves=10,
)


def places_in(value, place=()):
    """Yield the place of everything in a value that JSON can express."""
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places_in(inner, (*place, key))


@given(JSON)
def test_anything_stored_is_nothing_or_of_this_version(stored):
    assert read_head(stored) is None
    assert read_segment(stored) is None


@given(st.sampled_from([place for place in places_in(STORED) if place]), JSON)
def test_whatever_stands_in_a_head_it_is_one_or_nothing(place, value):
    stored = through_json(STORED)
    inner = stored
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    head = read_head(stored)
    assert head is None or through_json(as_json(head)) == as_json(head)


def test_a_value_without_end_is_not_understood():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert read_head({**STORED, "open": deep}) is None


@given(st.text(st.characters(codec=None), max_size=2 * MAX_TEXT_LENGTH))
def test_any_text_of_strangers_can_be_stored_and_read(told):
    result = REFUSED._replace(detail=text(told))
    segment = Segment(VERSION, "g", (result,))
    assert read_segment(through_json(as_json(segment))) == segment
    json.dumps(as_json(segment), ensure_ascii=False).encode()
