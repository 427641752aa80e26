"""A part of the enumeration, with one fault across all tries; ``make fault-run`` runs all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.exhaustive import CASES, GREEN, TWICE, Case, explore


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.on_unknown_outcome in ("check", "ask")], ids=str
)
def test_no_schedule_breaks_the_promise(case):
    report = explore(replace(case, faults=1))
    assert report.schedules > 50
    assert not report.stories, "\n".join(report.stories)


@pytest.mark.parametrize(
    ("mutant", "violation", "faults"),
    [
        ("skip the intent", TWICE, 1),
        ("one look is enough", TWICE, 1),
        ("each clear begins a new go", TWICE, 1),
        ("complete without asking", TWICE, 1),
        ("never complete", GREEN, 1),
        ("unreadable is absent", TWICE, 2),
        ("post again after a lost answer", TWICE, 1),
    ],
)
def test_a_broken_rule_is_found(mutant, violation, faults):
    report = explore(Case(faults=faults, has_file=True), mutant, stop_at_first=True)
    assert report.violations[violation]
