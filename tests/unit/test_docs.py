"""The documentation matches the code: its snippets and the names on its reference pages."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest
from airflow.models import Connection

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.cli.definition import COMMANDS
from airflow_provider_bigin.get_provider_info import CONNECTION_FIELDS, get_provider_info
from airflow_provider_bigin.hooks.connection import read_connection

ROOT = Path(__file__).parents[2]
PAGES = [path for path in sorted(ROOT.glob("docs/**/*.md")) if "_build" not in path.parts]
TEXTS = [*PAGES, *sorted(ROOT.glob("*.md"))]
SNIPPETS = [
    pytest.param(snippet, id=f"{path.relative_to(ROOT)}-{number}")
    for path in TEXTS
    for number, snippet in enumerate(re.findall(r"^```python\n(.*?)^```", path.read_text(), re.M | re.S))
]

#: Arguments that operators and sensors inherit from Airflow's own.
BASE_ARGUMENTS = {
    "on_success_callback",
    "retries",
    "soft_fail",
    "task_id",
    "timeout",
    "trigger_rule",
}


def command_flags(command):
    return [flag for argument in command.arguments for flag in argument.flags]


def is_error(value):
    return isinstance(value, type) and issubclass(value, errors.BiginError) and value is not errors.BiginError


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_names_what_there_is(snippet):
    tree = ast.parse(snippet)
    ours = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow_provider_bigin"):
            ours |= {name.name: getattr(import_module(str(node.module)), name.name) for name in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ours:
            signature = inspect.signature(ours[node.func.id])
            allowed = {*signature.parameters, *BASE_ARGUMENTS}
            assert {keyword.arg for keyword in node.keywords if keyword.arg} <= allowed


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_somewhere(path):
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    relative = [target.split("#")[0] for target in targets if not re.match(r"\w+:|#", target)]
    assert [target for target in relative if not (path.parent / target).exists()] == []


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("connection", CONNECTION_FIELDS),
        ("configuration", get_provider_info()["config"]["bigin"]["options"]),
        ("cli", [name for command in COMMANDS for name in (command.name, *command_flags(command))]),
        ("errors", [name for name, value in vars(errors).items() if is_error(value)]),
    ],
)
def test_a_reference_page_names_them_all(page, names):
    text = (ROOT / "docs" / "reference" / f"{page}.md").read_text()
    assert [name for name in names if name not in text] == []


def test_the_connections_that_are_shown_make_sense():
    text = (ROOT / "docs" / "reference" / "connection.md").read_text()
    [as_json] = re.findall(r"^```json\n(.*?)^```", text, re.M | re.S)
    [as_uri] = re.findall(r"='(bigin://.*)'", text)
    for connection in (Connection.from_json(as_json), Connection(uri=as_uri)):
        settings = read_connection(connection)
        assert settings.api_domain == "https://www.zohoapis.eu"
        assert str(settings.from_email) == "Reports <reports@example.com>"


def test_the_paths_of_the_provider_info_are_there():
    [integration] = get_provider_info()["integrations"]
    paths = [*integration["how-to-guide"], integration["logo"]]
    assert [path for path in paths if not (ROOT / path.lstrip("/")).is_file()] == []
