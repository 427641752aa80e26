"""Rows in files: CSV or JSON Lines, by the file's extension, wherever Airflow's object storage reaches."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from numbers import Number
from typing import Any

from airflow_provider_bigin.utils.outputs import open_output, to_output_path

EXTENSIONS = (".csv", ".jsonl")
#: What begins like this is a formula to spreadsheets.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_table_path(value: Any, field: str) -> Any:
    """Read the path of a table; see :func:`~airflow_provider_bigin.utils.outputs.to_output_path`."""
    return to_output_path(value, field, EXTENSIONS)


def write_table(path: Any, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """
    Write rows, one by one, over what may be there. A local file can be read by its owner alone.

    :param path: as :func:`to_table_path` returns it.
    :param columns: of a CSV file, whose cells hold JSON where a value is neither text nor number, and a
        quote before a text that a spreadsheet would take for a formula.
    :return: how many there were.
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
