from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.files import checked_size


def test_a_relative_file_that_is_missing_says_relative_to_what(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BiginValidationError) as error:
        checked_size(Path("out/report.pdf"))
    assert "there is no file 'out/report.pdf'; the path is relative to" in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_an_absolute_one_says_it_itself(tmp_path):
    with pytest.raises(BiginValidationError) as error:
        checked_size(tmp_path / "report.pdf")
    assert "relative" not in str(error.value)
