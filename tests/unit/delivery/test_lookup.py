from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.delivery.intent import Intent
from airflow_provider_bigin.delivery.lookup import Absent, Entry, Found, InDoubt, judge

MARKER, OTHER_MARKER = "m-" + "0" * 32, "m-" + "1" * 32
MAIL = Mail.compose(to="ada@example.org, grace@example.org", bcc="audit@example.org", subject="Your invoice")
INTENT = Intent.of("Contacts", "5000000000000000101", MAIL, since=1000.0, until=1090.0, marker=MARKER)
SAME = Entry("id", 1001.0, "Your invoice", ("GRACE@example.org", "Ada@Example.org"))


@pytest.mark.parametrize(
    ("entries", "verdict"),
    [
        pytest.param([], Absent(), id="empty"),
        pytest.param([SAME], Found("id", by_marker=False), id="same, recipients in other order and case"),
        pytest.param([replace(SAME, markers=frozenset())], Found("id", by_marker=False), id="mark stripped"),
        pytest.param(
            [replace(SAME, subject="Re-written", markers=frozenset({MARKER}))],
            Found("id", by_marker=True),
            id="mark decides",
        ),
        pytest.param([replace(SAME, markers=frozenset({OTHER_MARKER}))], Absent(), id="another send"),
        pytest.param(
            [SAME, replace(SAME, message_id="id 2", markers=frozenset({MARKER}))],
            Found("id 2", by_marker=True),
            id="two, one marked",
        ),
        pytest.param(
            [SAME, replace(SAME, message_id="id 2", markers=frozenset({OTHER_MARKER}))],
            Found("id", by_marker=False),
            id="two, one of another send",
        ),
        pytest.param(
            [replace(SAME, subject="Lunch?", recipients=("x@example.org",))], Absent(), id="unrelated"
        ),
        pytest.param(
            [replace(SAME, subject="  Your\n invoice ")], Found("id", by_marker=False), id="folded subject"
        ),
    ],
)
def test_verdicts(entries, verdict):
    assert judge(INTENT, entries) == verdict


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([SAME, replace(SAME, message_id="id 2")], id="two the same"),
        pytest.param([replace(SAME, recipients=("ada@example.org",))], id="a recipient is missing"),
        pytest.param([replace(SAME, subject="Another subject")], id="same people, other subject"),
        pytest.param([replace(SAME, recipients=("x@example.org",))], id="same subject, other people"),
        pytest.param([replace(SAME, subject="", recipients=())], id="tells nothing"),
    ],
)
def test_doubts(entries):
    assert isinstance(judge(INTENT, entries), InDoubt)


def test_a_mail_that_is_another_send_is_not_taken():
    assert judge(INTENT, [SAME], claimed=("id",)) == Absent()


def test_two_mails_without_a_subject_have_nothing_in_common():
    intent = Intent.of(
        "Contacts",
        "5000000000000000101",
        Mail.compose(to="ada@example.org"),
        since=0,
        until=None,
        marker=None,
    )
    assert judge(intent, [Entry("id", 1.0, "", ("grace@example.org",))]) == Absent()
