from __future__ import annotations

import csv
import json
import os
import stat
from decimal import Decimal

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


@pytest.mark.parametrize("text", ["=1+1", "+49 170 1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", '=cmd|"/c"!A1'])
def test_no_cell_of_a_csv_file_is_a_formula(tmp_path, text):
    path = to_table_path(str(tmp_path / "t.csv"), "f")
    write_table(path, ["id", text], [{"id": text, text: "a" + text}])
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["id", "'" + text], ["'" + text, "a" + text]]


class Text:
    def __str__(self):
        return "=1+1"


def test_numbers_stay_numbers_in_csv(tmp_path):
    path = to_table_path(str(tmp_path / "t.csv"), "f")
    write_table(path, ["a", "b", "c", "d"], [{"a": -5, "b": -1.5, "c": Decimal("-2.50"), "d": Text()}])
    assert path.read_text().splitlines()[1] == "-5,-1.5,-2.50,'=1+1"


def test_json_lines_keep_texts_as_they_are(tmp_path):
    path = to_table_path(str(tmp_path / "t.jsonl"), "f")
    write_table(path, ["id"], [{"id": "=1+1"}])
    assert json.loads(path.read_text()) == {"id": "=1+1"}


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
@pytest.mark.parametrize("is_there", [False, True])
def test_only_its_owner_can_read_a_table(tmp_path, scheme, name, is_there):
    file = tmp_path / name
    if is_there:
        file.write_text("old")
        file.chmod(0o666)
    umask = os.umask(0)
    try:
        write_table(to_table_path(f"{scheme}{file}", "f"), ["id"], ROWS)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "old" not in file.read_text()
