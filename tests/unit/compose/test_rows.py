from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from airflow_provider_bigin.compose.rows import canonical, read_rows

ADA = {"to": "ada@example.org", "n": 1}


def test_the_order_of_mappings_and_sets_does_not_matter():
    assert canonical(ADA) == canonical(dict(reversed(ADA.items())))
    assert canonical({"a", "b", "c"}) == canonical({"c", "b", "a"})


@pytest.mark.parametrize(
    "change",
    [
        {"n": 2},
        {"n": "1"},
        {"n": None},
        {"n": [1]},
        {"n": {1}},
        {"m": 1},
        {"n": datetime(2026, 1, 1)},
        {"n": 10**5000},
        {"n": "\ud800"},
    ],
    ids=range(9),
)
def test_any_other_content_is_another_row(change):
    assert canonical({**ADA, **change}) != canonical(ADA)


def test_rows_come_from_any_iterable():
    assert read_rows(row for row in (ADA, ADA)) == [ADA, ADA]
    assert read_rows((ADA,)) == [ADA]


class Plain:
    def __init__(self, n):
        self.n = n


class Slots:
    __slots__ = ()


class Unprintable:
    __slots__ = ()

    def __repr__(self):
        raise RuntimeError("cannot be printed")


@dataclass
class Tags:
    tags: set = field(default_factory=lambda: {"x", "y", "z", "w"})


def strange_values():
    """Make values that are hard to write down."""
    loop: dict = {"a": [1]}
    loop["a"].append(loop)
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    return [
        "text",
        None,
        float("nan"),
        b"\xff",
        {1: 2, "a": 3},
        {("a",): 1},
        {"ä", "b", 1, (2, "c")},
        {"s": {"p", "q", "r", "t"}},
        datetime(2026, 1, 1),
        Decimal("1.10"),
        Path("/a"),
        -(10**5000),
        "\ud800",
        Plain({"u", "v", "w"}),
        Slots(),
        Unprintable(),
        Tags(),
        object(),
        print,
        lambda: 1,
        loop,
        deep,
    ]


def test_whatever_it_is_all_processes_write_it_down_alike():
    code = (
        "from tests.unit.compose.test_rows import canonical, strange_values;"
        "print([canonical(value) for value in strange_values()])"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[3],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert texts == {f"{[canonical(value) for value in strange_values()]}\n"}
    assert max(map(len, texts)) < 20_000
    assert " at 0x" not in texts.pop()


def test_objects_are_told_apart_by_what_they_hold():
    assert canonical(Plain(1)) == canonical(Plain(1)) != canonical(Plain(2))
