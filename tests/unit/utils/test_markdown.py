from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from airflow_provider_bigin.utils.markdown import MAX_CELL_LENGTH, paragraphs, table

#: Parses tables and bare addresses as GitHub does.
RENDER = MarkdownIt("gfm-like").render

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=http://example.org/a.png>",
    "![a](http://example.org/a.png)",
    "[a](http://example.org)",
    "http://example.org www.example.org a@example.org",
    "a | b",
    r"a \| b",
    r"a \\| b \\\|\\",
    "`a` | `b`",
    "``` a",
    "`",
    "``",
    "a `` | b ```",
    "# a",
    "1. a",
    "- a",
    "> a",
    "---",
    "&lt;b&gt; &#124;",
    "*a* _b_ ~c~",
    "\\",
    "a\\",
]


def codes(html: str) -> list[str]:
    """Return what is shown as code and check that untrusted text is nowhere else."""
    from html import unescape

    found = re.findall(r"<code>(.*?)</code>", html)
    rest = re.sub(r"<code>.*?</code>", "", html)
    assert set(re.findall(r"<(\w+)", rest)) <= {"table", "thead", "tbody", "tr", "th", "td", "p", "br"}
    assert "example" not in rest
    return [unescape(code) for code in found]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_shows_the_text_and_nothing_of_it_is_markup(text):
    html = RENDER(table(("A", "B"), [(7, text), (text, None)]))
    assert html.count("<tr>") == 3
    assert html.count("<td>") == 4
    shown = codes(html)
    assert len(shown) == 2
    for code in shown:  # GitHub removes one of the two backslashes, this parser neither
        assert code.replace("\\", "") == text.replace("\\", "")


def test_a_cell_is_one_line_and_short():
    html = RENDER(table(("A",), [("a\n\n| b\r\u2028c\u202ed" + "x" * 1000,)]))
    (shown,) = codes(html)
    assert shown.startswith("a | b cdxxx")
    assert len(shown) == MAX_CELL_LENGTH


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_of_several_lines_keeps_them_and_nothing_of_it_is_markup(text):
    html = RENDER(paragraphs(f"{text}\n{text}\n\n{text}\x00\u202e\n\n\nend"))
    assert codes(html) == [text, text, text, "end"]
    assert html.count("<br") == 1
    assert html.count("<p>") == 3
