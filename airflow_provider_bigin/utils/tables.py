"""Rows in files: CSV or JSON Lines, by the file's extension, wherever Airflow's object storage reaches."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.hooks.paths import to_path

EXTENSIONS = (".csv", ".jsonl")


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
    Write rows, one by one, over what may be there.

    :param path: as :func:`to_table_path` returns it.
    :param columns: of a CSV file, whose cells hold JSON where a value is neither text nor number.
    :return: how many there were.
    """
    number = 0
    if "://" not in str(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        is_csv = path.suffix.lower() == ".csv"
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        if is_csv:
            writer.writeheader()
        for row in rows:
            if is_csv:
                writer.writerow({column: _cell(row.get(column)) for column in columns})
            else:
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
            number += 1
    return number


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list, bool)) else value
