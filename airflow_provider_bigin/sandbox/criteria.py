"""Parsing of search ``criteria``: ``((Field:op:value)and(Field:op:value))``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]
Predicate = Callable[[Record], bool]

# "(", ")", "and", "or", or a comparison; a backslash escapes a parenthesis or a comma.
_TOKEN = re.compile(r"\s*(?:(?P<bracket>[()])|(?P<word>and|or)(?=\s*\()|(?P<comparison>(?:\\.|[^()\\])+))")
_COMPARISON = re.compile(r"(?P<field>\w+(?:\.\w+)?):(?P<op>\w+):(?P<value>.*)", re.DOTALL)


def parse(text: str) -> Predicate:
    """
    Return the predicate that the criteria describe.

    :param text: the criteria, decoded from the URL.
    :raises ValueError: if they cannot be parsed.
    """
    tokens = _tokens(text)
    predicate = _expression(tokens)
    if tokens:
        raise ValueError(f"unexpected {tokens[0][1]!r}")
    return predicate


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"cannot parse {text[position:]!r}")
        assert match.lastgroup is not None
        tokens.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return tokens


def _expression(tokens: list[tuple[str, str]]) -> Predicate:
    left = _operand(tokens)
    while tokens and tokens[0][0] == "word":
        word = tokens.pop(0)[1]
        left = _joined(word, left, _operand(tokens))
    return left


def _joined(word: str, left: Predicate, right: Predicate) -> Predicate:
    if word == "and":
        return lambda record: left(record) and right(record)
    return lambda record: left(record) or right(record)


def _operand(tokens: list[tuple[str, str]]) -> Predicate:
    if not tokens:
        raise ValueError("incomplete criteria")
    kind, text = tokens.pop(0)
    if kind == "comparison":
        return _comparison(text)
    if text != "(":
        raise ValueError(f"unexpected {text!r}")
    inner = _expression(tokens)
    if not tokens or tokens.pop(0)[1] != ")":
        raise ValueError("missing closing parenthesis")
    return inner


def _comparison(text: str) -> Predicate:
    match = _COMPARISON.fullmatch(text)
    if match is None or match["op"] not in _OPERATORS:
        raise ValueError(f"cannot parse {text!r}")
    compare = _OPERATORS[match["op"]]
    wanted = [_unescaped(value) for value in re.split(r"(?<!\\),", match["value"])]
    if match["op"] not in ("in", "between"):
        wanted = [_unescaped(match["value"])]
    name = match["field"]
    return lambda record: any(compare(value, wanted) for value in _values(record, name))


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value)


def _values(record: Record, name: str) -> list[str]:
    """Return a field's value as text; for a lookup, its id and its name."""
    field, _, part = name.partition(".")
    value = record.get(field)
    if isinstance(value, dict):
        return [str(value.get(part, ""))] if part else [str(value.get("id", "")), str(value.get("name", ""))]
    if value is None:
        return [""]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def _order(value: str, other: str) -> int:
    """Compare two values, as numbers if both are numeric, and return a negative, zero, or positive number."""
    try:
        a, b = float(value), float(other)
    except ValueError:
        return (value.casefold() > other.casefold()) - (value.casefold() < other.casefold())
    return (a > b) - (a < b)


_OPERATORS: dict[str, Callable[[str, list[str]], bool]] = {
    "equals": lambda value, wanted: _order(value, wanted[0]) == 0,
    "not_equal": lambda value, wanted: _order(value, wanted[0]) != 0,
    "starts_with": lambda value, wanted: value.casefold().startswith(wanted[0].casefold()),
    "in": lambda value, wanted: any(_order(value, one) == 0 for one in wanted),
    "greater_than": lambda value, wanted: value != "" and _order(value, wanted[0]) > 0,
    "greater_equal": lambda value, wanted: value != "" and _order(value, wanted[0]) >= 0,
    "less_than": lambda value, wanted: value != "" and _order(value, wanted[0]) < 0,
    "less_equal": lambda value, wanted: value != "" and _order(value, wanted[0]) <= 0,
    "between": lambda value, wanted: (
        len(wanted) == 2 and _order(value, wanted[0]) >= 0 and _order(value, wanted[1]) <= 0
    ),
}
