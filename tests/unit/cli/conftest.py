"""Fixtures for tests of the commands."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.__main__ import main


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Keep the caller's environment from answering for the user, and commands from changing it."""
    for name in (
        "BIGIN_REGION",
        "BIGIN_CLIENT_ID",
        "BIGIN_CLIENT_SECRET",
        "BIGIN_GRANT_CODE",
        "BIGIN_SANDBOX",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "none")


@pytest.fixture
def run(capsys):
    """Run a command and return its output and its exit code or error."""

    def command(*arguments):
        try:
            main(list(arguments))
        except SystemExit as end:
            return capsys.readouterr().out, end.code
        return capsys.readouterr().out, 0

    return command


@pytest.fixture
def answers(sandbox, monkeypatch):
    """Put the answers to the questions of ``authorize`` into the environment."""
    connection = sandbox.connection()
    given = {
        "BIGIN_SANDBOX": sandbox.url,
        "BIGIN_REGION": "eu",
        "BIGIN_CLIENT_ID": connection["login"],
        "BIGIN_CLIENT_SECRET": connection["password"],
        "BIGIN_GRANT_CODE": sandbox.new_grant(),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given
