"""The example DAGs, which the docs also show."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # Airflow starts several times

EXAMPLES = Path(__file__).parents[2] / "example_dags"


@pytest.mark.parametrize(
    ("dag_id", "recipients"),
    [
        ("bigin_send_mail", {"ada.lovelace@example.org"}),
        ("bigin_report", {"grace.hopper@example.org"}),
        ("bigin_notify", {"ada.lovelace@example.org", "sales@example.org"}),
    ],
)
def test_an_example(run_dag, sandbox, dag_id, recipients):
    assert {state for *_, state in run_dag(dag_id, EXAMPLES)} == {"success"}
    assert {mail["to"][0]["email"] for mail in sandbox.mails()} == recipients


def test_the_example_of_many_mails(run_dag, sandbox):
    assert {state for *_, state in run_dag("bigin_bulk", EXAMPLES)} == {"success"}
    mails = {mail["to"][0]["email"]: mail for mail in sandbox.mails()}
    # One contact has opted out, and one has no address.
    assert set(mails) == {"ada.lovelace@example.org", "grace.hopper@example.org", "sales@example.com"}
    assert mails["grace.hopper@example.org"]["subject"] == "Grace, you are invited"
    assert "2 of 2 invitations are out" in mails["sales@example.com"]["content"]
