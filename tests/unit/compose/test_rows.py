from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import jinja2.sandbox
import pytest

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.compose.arguments import MAIL_FIELDS
from airflow_provider_bigin.compose.messages import Completion
from airflow_provider_bigin.compose.rows import RowBatch, canonical, read_rows
from airflow_provider_bigin.compose.templates import RowTemplates

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
    """Generate values that are hard to serialize."""
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


class Hostile(str):
    """A string that fails wherever it can."""

    def fail(self, *_, **__):
        raise RuntimeError("no")

    __str__ = __repr__ = __format__ = __contains__ = strip = split = encode = casefold = fail


class LockedRow(dict):
    def fail(self, *_):
        raise RuntimeError("locked")

    __contains__ = __getitem__ = __iter__ = keys = items = fail


def nested(depth, inner=None):
    for _ in range(depth):
        inner = {"email": inner}
    return inner


GOOD = {"record_id": "5000000000000000101", "to": "ada@example.org", "name": "Ada"}
#: Values that are valid in rows but not in mails, and values that are not rows.
BAD = [
    *strange_values()[:3],
    LockedRow(GOOD),
    {},
    nested(100_000),
    *(
        {**GOOD, **change}
        for change in (
            {"name": "\ud800"},
            {"name": Unprintable()},
            {"name": 10**5000},
            {"name": nested(100_000)},
            {"name": Hostile("x")},
            {"subject": Hostile("x")},
            {"subject": 10**5000},
            {"subject": nested(100_000)},
            {"to": nested(100_000)},
            {"to": nested(2)},
            {"to": {"email": "a@b.c", "user_name": nested(9)}},
            {"to": {"email": "a@b.c, d@e.f"}},
            {"to": {"email": "a@b.c\u202e"}},
            {"to": {"email": "a\0@b.c"}},
            {"to": {"email": "a@b.c", "user_name": "\udfff"}},
            {"to": {"email": "a@b.c", "user_name": "x" * 1_000_000}},
            {"to": f"x{' ' * 1_000_000}y"},
            {"to": Hostile("a@b.c")},
            {"to": 10**5000},
            {"record_id": 10**5000},
            {"record_id": 10**25},
            {"record_id": -1},
            {"record_id": 5e18},
            {"record_id": True},
            {"record_id": "5" * 26},
            {"record_id": "\uff15"},
            {"record_id": "5/../6"},
            {"record_id": Hostile("5")},
            {"module": Hostile("Contacts")},
            {"module": nested(100_000)},
        )
    ),
]


@pytest.fixture
def make_batch():
    def make(rows):
        environment = jinja2.sandbox.SandboxedEnvironment()
        return RowBatch(
            rows,
            {**dict.fromkeys(MAIL_FIELDS), "module": "Contacts", "mail_format": "html", "org_email": False},
            [],
            {},
            RowTemplates(environment, {}, {"subject": "{{ mail.name }}", "content": "Dear {{ mail.name }}"}),
            row_fields=("record_id", "module", "to", "subject", "content"),
            files_root=None,
            completion=Completion(None),
        )

    return make


@pytest.mark.parametrize("position", range(len(BAD)))
def test_whatever_a_row_holds_it_is_that_rows_error(make_batch, position):
    batch = make_batch([GOOD, BAD[position], GOOD])
    assert len({batch.row(0), batch.row(1), batch.row(2)}) == 2
    assert batch.record(1) in (None, batch.record(0))
    with pytest.raises(Exception) as failure:  # noqa: PT011
        batch.draft(1)
    if isinstance(failure.value, BiginValidationError):
        assert len(str(failure.value)) < 1000
    assert batch.draft(0).mail.subject == batch.draft(2).mail.subject == "Ada"
