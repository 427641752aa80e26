"""
The text of an HTML mail, as plain text, in time linear in its length.

Python's own parser takes a minute for a mail that consists only of ``<a href=``.
"""

from __future__ import annotations

import re
from html import unescape

#: Start of something that is not shown: a comment or an element.
_HIDDEN = re.compile(r"<!--|<(?P<element>head|script|style|template|title)\b", re.IGNORECASE)
_TAG = re.compile(r"<[!?][^<>]*>|<(?P<name>/?[a-z][a-z0-9]*)(?=[\s/>])(?P<attributes>[^<>]*)>", re.IGNORECASE)
_BREAKS = {
    "\n\n": "blockquote h1 h2 h3 h4 h5 h6 hr ol p pre table ul",
    "\n": "address article br div footer header section tr",
}
#: What replaces each tag.
_TEXT = {tag: text for text, tags in _BREAKS.items() for tag in tags.split()}
_TEXT |= {f"/{tag}": text for tag, text in _TEXT.items()} | {"li": "\n- ", "td": " ", "th": " "}


def html_to_text(html: str) -> str:
    """Return the text that a reader sees, with the URLs of links."""
    links: list[str] = []

    def as_text(tag: re.Match[str]) -> str:
        name = (tag["name"] or "").lower()
        if name == "a":
            links.append(_attribute(tag, "href"))
        elif name == "/a" and links and (link := links.pop()):
            return f" ({link})"
        elif name == "img":
            return _attribute(tag, "alt")
        return _TEXT.get(name, "")

    text = unescape(_TAG.sub(as_text, re.sub(r"\s+", " ", _visible(html))))
    lines = "\n".join(" ".join(line.split()) for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def _visible(html: str) -> str:
    parts, position = [], 0
    while hidden := _HIDDEN.search(html, position):
        parts.append(html[position : hidden.start()])
        element = hidden["element"]
        end = re.compile(f"</{element}[^<>]*>?" if element else "-->", re.IGNORECASE).search(
            html, hidden.end()
        )
        position = end.end() if end else len(html)
    return "".join([*parts, html[position:]])


def _attribute(tag: re.Match[str], name: str) -> str:
    value = re.search(rf"""\s{name}\s?=\s?("[^"]*"|'[^']*'|[^\s"']+)""", tag["attributes"], re.IGNORECASE)
    return value[1].strip("\"'") if value else ""
