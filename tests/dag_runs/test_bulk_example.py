"""The example DAG of many mails."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)  # Airflow starts several times

EXAMPLES = Path(__file__).parents[2] / "example_dags"


def test_the_example_of_many_mails(run_dag, sandbox):
    assert {state for *_, state in run_dag("bigin_bulk", EXAMPLES)} == {"success"}
    mails = {mail["to"][0]["email"]: mail for mail in sandbox.mails()}
    # One contact has opted out, and one has no address.
    assert set(mails) == {"ada.lovelace@example.org", "grace.hopper@example.org", "sales@example.com"}
    assert mails["grace.hopper@example.org"]["subject"] == "Grace, you are invited"
    assert "2 of 2 invitations are out" in mails["sales@example.com"]["content"]
