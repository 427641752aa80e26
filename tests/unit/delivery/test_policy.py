"""The decision table of the protocol, cell by cell."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.delivery.policy import decide

#: The policy, whether a person has asked since; then the decision if the mail is absent, or in doubt.
TABLE = [
    ("fail", False, "give up", "give up"),
    ("fail", True, "send", "give up"),
    ("check", False, "send", "give up"),
    ("check", True, "send", "give up"),
    ("resend", False, "send", "send"),
    ("resend", True, "send", "send"),
    ("ask", False, "send", "ask"),
    ("ask", True, "send", "ask"),
]
each_row = pytest.mark.parametrize(("policy", "asked_since", "absent", "in_doubt"), TABLE)


@each_row
class TestOpen:
    def test_a_mail_of_an_earlier_try(self, policy, asked_since, absent, in_doubt):
        expected = {"found": "done", "absent": absent, "in doubt": in_doubt, "unreadable": "later"}
        decisions = {
            evidence: decide("open", evidence, policy=policy, asked_since=asked_since)
            for evidence in expected
        }
        assert decisions == expected

    def test_a_mail_of_this_very_try_is_not_posted_twice(self, policy, asked_since, absent, in_doubt):
        expected = {"found": "done", "absent": absent, "in doubt": in_doubt, "unreadable": "later"}
        for evidence, decision in expected.items():
            own = decide("open", evidence, policy=policy, asked_since=asked_since, is_own=True)
            assert own == ("later" if decision == "send" else decision)

    def test_the_absence_of_a_scheduled_mail_proves_nothing(self, policy, asked_since, absent, in_doubt):
        how = {"policy": policy, "asked_since": asked_since, "is_scheduled": True}
        assert decide("open", "absent", **how) == in_doubt
        assert decide("open", "found", **how) == "done"

    @pytest.mark.parametrize("is_scheduled", [False, True])
    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("sent", {"found": "done", "absent": "done", "in doubt": "done", "unreadable": "done"}),
            ("send", {"found": "done", "absent": "send", "in doubt": "send", "unreadable": "later"}),
            ("leave", {"found": "done", "absent": "give up", "in doubt": "give up", "unreadable": "give up"}),
        ],
    )
    def test_what_a_person_has_said_decides_unless_the_mail_is_found(
        self, policy, asked_since, absent, in_doubt, said, expected, is_scheduled
    ):
        how = {"policy": policy, "asked_since": asked_since, "is_scheduled": is_scheduled, "said": said}
        assert {evidence: decide("open", evidence, **how) for evidence in expected} == expected


@each_row
@pytest.mark.parametrize(
    ("last_word", "of_a_retry", "once_asked"),
    [("none", "send", "send"), ("done", "done", "done"), ("refused", "report", "send")],
)
def test_without_a_look(last_word, of_a_retry, once_asked, policy, asked_since, absent, in_doubt):
    decision = decide(last_word, policy=policy, asked_since=asked_since)
    assert decision == (once_asked if asked_since else of_a_retry)
