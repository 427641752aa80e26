from __future__ import annotations

import csv
import json

import pytest

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.utils.tables import to_table_path, write_table

ROWS = [{"id": "1", "name": 'Zoë, "the"\nfirst', "tags": ["a"], "ok": True}, {"id": "2", "name": None}]


def test_csv(tmp_path):
    path = to_table_path(str(tmp_path / "new" / "t.csv"), "f")
    assert write_table(path, ["id", "name", "tags", "ok"], ROWS) == 2
    with path.open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert first == {"id": "1", "name": ROWS[0]["name"], "tags": '["a"]', "ok": "true"}
    assert second == {"id": "2", "name": "", "tags": "", "ok": ""}


def test_json_lines(tmp_path):
    path = to_table_path(f"file://{tmp_path}/t.JSONL", "f")
    write_table(path, ["id"], ROWS)
    assert [json.loads(line) for line in path.read_text().splitlines()] == ROWS


@pytest.mark.parametrize("name", ["t.xlsx", "t", "s3://bucket/t.txt"])
def test_other_files_are_refused(name):
    with pytest.raises(BiginConfigurationError, match=r"f: .* must end in \.csv or \.jsonl"):
        to_table_path(name, "f")
