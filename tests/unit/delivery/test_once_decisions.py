from __future__ import annotations

import pytest

from airflow_provider_bigin.api.errors import BiginServerError
from airflow_provider_bigin.delivery.lookup import Absent, InDoubt, Unreadable
from airflow_provider_bigin.delivery.once import decide

ABSENT, DOUBT, OUTAGE = Absent(), InDoubt("of this"), Unreadable(BiginServerError("down"))


@pytest.mark.parametrize(
    ("policy", "verdict", "own", "earlier"),
    [
        ("check", ABSENT, "retry", "send"),
        ("check", DOUBT, "give up", "give up"),
        ("check", OUTAGE, "retry", "retry"),
        ("fail", ABSENT, "give up", "give up"),
        ("fail", DOUBT, "give up", "give up"),
        ("fail", OUTAGE, "retry", "retry"),
        ("resend", ABSENT, "retry", "send"),
        ("resend", DOUBT, "retry", "send"),
        ("resend", OUTAGE, "retry", "retry"),
    ],
)
def test_policies(policy, verdict, own, earlier):
    assert decide(verdict, policy=policy, is_own=True, is_scheduled=False, was_cleared=False) == own
    assert decide(verdict, policy=policy, is_own=False, is_scheduled=False, was_cleared=False) == earlier


def test_the_absence_of_a_scheduled_mail_proves_nothing():
    assert decide(ABSENT, policy="check", is_own=False, is_scheduled=True, was_cleared=False) == "give up"


@pytest.mark.parametrize("policy", ["check", "fail", "resend"])
@pytest.mark.parametrize("verdict", [ABSENT, DOUBT])
def test_who_clears_the_task_gets_a_mail(policy, verdict):
    assert decide(verdict, policy=policy, is_own=False, is_scheduled=True, was_cleared=True) == "send"
