from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bigin.api.text import MAX_EXCERPT_LENGTH, excerpt, one_line, quoted

ANY_TEXT = st.text(st.characters(exclude_categories=[]))  # with surrogates


@pytest.mark.parametrize(
    "break_", ["\n", "\r\n", "\0", "\t", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\n\u202e\n"]
)
def test_a_control_character_is_a_space(break_):
    assert one_line(f"one{break_}two{break_}") == "one two"


def test_nothing_reorders_a_text():
    assert one_line("\u202egpj.exe\u202c \u2066x\u2069 \u202ay") == "gpj.exe x y"


def test_scripts_from_right_to_left_and_joined_emoji_stay_as_they_are():
    text = "\u05e9\u05dc\u05d5\u05dd \u200f\u0645\u0631\u200e \U0001f469\u200d\U0001f680"
    assert one_line(text) == text


@given(ANY_TEXT)
def test_any_text_becomes_one_short_line_that_can_be_encoded(text):
    line = excerpt(text * 100)
    assert line.splitlines() in ([], [line])
    assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") for character in line)
    assert len(line) <= MAX_EXCERPT_LENGTH
    line.encode()


class Unprintable:
    def __repr__(self):
        raise RuntimeError("cannot be printed")


DEEP: list = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [
        "x" * 1_000_000,
        "\ud800",
        10**5000,
        [10**5000],
        Unprintable(),
        DEEP,
        {1: "y" * 10_000},
        b"\xff" * 10_000,
    ],
    ids=range(8),
)
def test_any_value_can_be_quoted(value):
    assert 0 < len(quoted(value)) <= MAX_EXCERPT_LENGTH


def test_a_value_is_quoted_as_python_writes_it():
    assert quoted({"to": ["a@b.c", "\n"]}) == "{'to': ['a@b.c', '\\n']}"
