"""Mapping of the operator for a single mail."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.timeout(300)  # Airflow starts several times

DAG = """
from __future__ import annotations

from airflow import DAG

from airflow_provider_bigin.operators.bigin import BiginSendMailOperator

with DAG("mapping", schedule=None):
    BiginSendMailOperator.partial(task_id="expand", to="a@example.org", subject="x", content="-").expand(
        record_id=["5000000000000000101", "5000000000000000102"]
    )
    BiginSendMailOperator.partial(task_id="kwargs", subject="{{ ds }}", content="-").expand_kwargs(
        [{"record_id": "5000000000000000102", "to": "b@example.org"}]
    )
    BiginSendMailOperator.partial(
        task_id="named", to="c@example.org", content="-", map_index_template="{{ task.module }}"
    ).expand(record_id=["5000000000000000101"])
    BiginSendMailOperator.partial(task_id="found", content="-").expand(to=["ada.lovelace@example.org"])
    BiginSendMailOperator(
        task_id="single", record_id="5000000000000000101", to="d@example.org", content="-"
    )
"""


def test_mapped_mails_are_labelled_with_their_record(run_dag, sandbox, tmp_path):
    (tmp_path / "mapping.py").write_text(DAG)
    assert sorted(run_dag("mapping", tmp_path)) == [
        ("expand", 0, "5000000000000000101", "success"),
        ("expand", 1, "5000000000000000102", "success"),
        ("found", 0, "ada.lovelace@example.org", "success"),
        ("kwargs", 0, "5000000000000000102", "success"),
        ("named", 0, "Contacts", "success"),
        ("single", -1, None, "success"),
    ]
    assert len(sandbox.mails()) == 6
