"""Rows in files: CSV or JSON Lines, by the file's extension, wherever Airflow's object storage reaches."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from pathlib import Path
from typing import Any

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.hooks.paths import to_path

EXTENSIONS = (".csv", ".jsonl")
#: What begins like this is a formula to spreadsheets.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_table_path(value: Any, field: str) -> Any:
    """
    Read the path of a table.

    :param value: a path or URL, see :func:`~airflow_provider_bigin.hooks.paths.to_path`.
    :param field: the name of the argument, for the error.
    :raises BiginConfigurationError: if it has another extension.
    """
    path = to_path(value, field)
    if path.suffix.lower() not in EXTENSIONS:
        raise BiginConfigurationError(f"{field}: {str(path)!r} must end in {' or '.join(EXTENSIONS)}")
    return path


def write_table(path: Any, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """
    Write rows, one by one, over what may be there. A local file can be read by its owner alone.

    :param path: as :func:`to_table_path` returns it.
    :param columns: of a CSV file, whose cells hold JSON where a value is neither text nor number, and a
        quote before a text that a spreadsheet would take for a formula.
    :return: how many there were.
    """
    number = 0
    if getattr(path, "protocol", "file") == "file":
        _make_private(Path(getattr(path, "path", path)))
    with path.open("w", encoding="utf-8", newline="") as file:
        is_csv = path.suffix.lower() == ".csv"
        writer = csv.writer(file)
        if is_csv:
            writer.writerow(map(_cell, columns))
        for row in rows:
            if is_csv:
                writer.writerow(_cell(row.get(column)) for column in columns)
            else:
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
            number += 1
    return number


def _make_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.chmod(0o600)  # of a file that was there


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list, bool)):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, Number):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
