"""
GitHub's Markdown, as Airflow's UI shows it, around untrusted text.

Each text is written as code, in which nothing is markup. Escaping would not prevent links: a URL becomes one
even then.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from airflow_provider_bigin.api.text import excerpt, one_line

#: Maximum number of characters shown in a table cell.
MAX_CELL_LENGTH = 200


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """
    Make a table.

    :param columns: column titles, in Markdown.
    :param rows: numbers and texts; None leaves a cell empty.
    """
    lines = [columns, ["---"] * len(columns), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def paragraphs(text: str) -> str:
    """Show a text of several lines. In a code block, Airflow would fold them into one."""
    lines = [_code(one_line(line)) for line in text.splitlines()]
    return re.sub(r"(?<=`)\n(?=`)", "\\\n", "\n".join(lines))


def _cell(value: object) -> str:
    if value is None or isinstance(value, int):
        return "" if value is None else str(value)
    # In some renderers, two backslashes before a pipe escape each other, so their number is made odd.
    return re.sub(
        r"(\\*)\|",
        lambda match: match[1] + "\\" * (1 + len(match[1]) % 2) + "|",
        _code(excerpt(str(value), MAX_CELL_LENGTH)),
    )


def _code(line: str) -> str:
    """Quote a line with more backticks than it contains in a row."""
    if not line:
        return ""
    ticks = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    padding = " " if "`" in (line[0], line[-1]) else ""
    return f"{ticks}{padding}{line}{padding}{ticks}"
