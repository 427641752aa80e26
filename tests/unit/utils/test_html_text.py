from __future__ import annotations

import pytest

from airflow_provider_bigin.utils.html_text import html_to_text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Dear  Ada,</p>\n<p>join\nus &amp; come.</p>", "Dear Ada,\n\njoin us & come."),
        ("one<br>two<div>three</div>four", "one\ntwo\nthree\nfour"),
        ("<ul><li>one<li>two</ul>", "- one\n- two"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc"),
        ('<a href="https://e.org/x?a=1&amp;b=2">here</a>.', "here (https://e.org/x?a=1&b=2)."),
        ("<a name=top>top</a></a>", "top"),
        ('<img alt="logo" src="x"><img src=y>', "logo"),
        ("<head><title>x</title><style>p{}</style></head>body<script>1</script>", "body"),
        ("<style>p{}", ""),
        ("plain", "plain"),
        ("<!doctype html><!-- a > b --><p>x<!-- never closed <b>", "x"),
        ("<STYLE>p{}</STYLE x>y<script", "y"),
        ("<img src=x alt=a> &lt;b&gt;", "a <b>"),
        ("<h1>A</h1><hr/><pre>b</pre>", "A\n\nb"),
        ("<p", "<p"),
        ("a < b", "a < b"),
        ("", ""),
    ],
)
def test_what_a_reader_sees(html, text):
    assert html_to_text(html) == text


@pytest.mark.parametrize(
    "part",
    [
        "<",
        "<!--",
        "<a ",
        "<a href=",
        "<a href='",
        '<a x="',
        "</",
        "</style",
        "<style>",
        "<p>",
        "<!",
        "&",
        " ",
    ],
)
def test_whatever_it_is_made_of_it_is_read_to_the_end(part):
    html_to_text(part * (100_000 // len(part)))  # Python's parser takes a minute for the worst of them


def test_a_word_without_end_is_read():
    assert len(html_to_text("<" + "a" * 100_000)) == 100_001
