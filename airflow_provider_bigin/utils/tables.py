"""Rows in files: CSV or JSON Lines, by the file's extension, wherever Airflow's object storage reaches."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from typing import Any

from airflow_provider_bigin.utils.outputs import open_output, to_output_path

EXTENSIONS = (".csv", ".jsonl")
#: Spreadsheets take text that begins like this for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_table_path(value: Any, field: str) -> Any:
    """Read the path of a table; see :func:`~airflow_provider_bigin.utils.outputs.to_output_path`."""
    return to_output_path(value, field, EXTENSIONS)


def write_table(path: Any, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """
    Write rows one by one, replacing what is there. A local file is readable only by its owner.

    :param path: path as returned by :func:`to_table_path`.
    :param columns: columns of a CSV file. Its cells hold JSON for values that are neither text nor number,
        and have a quote before text that a spreadsheet would take for a formula.
    :return: number of rows written.
    """
    number = 0
    with open_output(path) as file:
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


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list, bool)):
        return json.dumps(value, ensure_ascii=False)
    if value is None or isinstance(value, Number):
        return value
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
