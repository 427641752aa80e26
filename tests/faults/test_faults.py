"""A minute's worth of the fault run; ``make fault-run`` runs all of it."""

from __future__ import annotations

import os

import pytest

from tests.faults.run import VARIANTS, report, run

SEED = int(os.environ.get("FAULT_SEED") or int.from_bytes(os.urandom(3), "big"))


@pytest.mark.timeout(900)  # a minute, unless the machine is busy
def test_no_schedule_breaks_the_promise():
    print(f"FAULT_SEED={SEED}")
    outcomes = run(list(VARIANTS), schedules=9, seed=SEED)
    assert len(outcomes) == 9 * len(VARIANTS)
    broken = [outcome for _, outcome in outcomes if outcome.violation or "crashed" in outcome.tries]
    assert not broken, f"FAULT_SEED={SEED}\n{report(list(VARIANTS), outcomes)}"
