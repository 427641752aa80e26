"""The report example DAG."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests

pytestmark = pytest.mark.timeout(300)  # Airflow starts several times

EXAMPLES = Path(__file__).parents[2] / "example_dags"


def test_the_example_of_a_report(run_dag, sandbox):
    assert {state for *_, state in run_dag("bigin_report", EXAMPLES)} == {"success"}
    (mail,) = sandbox.mails()
    assert "3 orders</b> worth 510.50 in all" in mail["content"]
    assert [file["name"] for file in mail["attachments"]] == ["orders.csv"]
    assert re.search(
        r'<img src="http://[^"]+/crm/viewInLineImage\?fileContent=\w+" width="150"', mail["content"]
    )
    shown = requests.get(f"{sandbox.url}/mails/{mail['message_id']}/body", timeout=10).text
    assert '<img src="data:image/png;base64,' in shown
