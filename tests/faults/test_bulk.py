"""Many mails from a task that is killed: a small part of ``python -m tests.faults.bulk``."""

from __future__ import annotations

import os

import pytest

from tests.faults.bulk import run

SEED = int(os.environ.get("FAULT_SEED") or int.from_bytes(os.urandom(3), "big"))


def test_everybody_gets_one_mail_however_often_the_worker_is_killed():
    print(f"FAULT_SEED={SEED}")
    report = run(mails=500, kills=5, lost=0, seed=SEED)
    assert report.is_right, report
    assert report.writes <= 500 / 20, report


def test_everybody_gets_one_mail_though_answers_get_lost_as_well():
    print(f"FAULT_SEED={SEED}")
    report = run(mails=300, kills=3, lost=5, seed=SEED)
    assert report.is_right, report


@pytest.mark.parametrize(
    "circumstances",
    [
        {"emails_lag": 20},
        {"single_mail": False},
        {"strip_markup": True},
        {"emails_default_empty": True},
        {"store": "variables"},
        {"store": "none"},
    ],
    ids=str,
)
def test_everybody_gets_one_mail_whatever_the_lists_of_mails_show(circumstances):
    print(f"FAULT_SEED={SEED}")
    report = run(mails=90, kills=2, lost=2, seed=SEED, **circumstances)
    assert report.is_right, report
