from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_bigin.api.data_centers import DATA_CENTERS
from airflow_provider_bigin.api.oauth import SCOPES
from airflow_provider_bigin.cli.connections import EMPTY_FIELDS
from airflow_provider_bigin.hooks.bigin import BiginHook

ADA = "5000000000000000101"


def shown_json(output):
    return json.loads(re.search(r"^\{$.*?^\}$", output, re.MULTILINE | re.DOTALL).group())


def test_the_environment_line_makes_a_connection_that_sends(run, answers, sandbox, monkeypatch):
    output, exit_code = run("authorize", "my_bigin")
    assert exit_code == 0
    (line,) = (line for line in output.splitlines() if line.startswith("AIRFLOW_CONN_"))
    name, _, value = shlex.split(line)[0].partition("=")
    monkeypatch.setenv(name, value)
    BiginHook("my_bigin").send_mail(record_id=ADA, to="ada.lovelace@example.org", subject="It works")
    assert [mail["subject"] for mail in sandbox.mails()] == ["It works"]


def test_the_json_is_the_same_connection(run, answers):
    output, _ = run("authorize", "my_bigin")
    connection = shown_json(output)["my_bigin"]
    assert connection["extra"]["region"] == "zoho.eu"
    assert f"AIRFLOW_CONN_MY_BIGIN={shlex.quote(json.dumps(connection))}" in output


def test_the_scopes_to_paste_are_shown(run, answers):
    assert f"\n{','.join(SCOPES)}\n" in run("authorize")[0]


def test_a_connection_is_tested_with_the_token_that_is_there(run, answers, sandbox):
    run("authorize")
    assert sandbox.counts()["token"] == 1
    assert sandbox.mails() == []


def test_scopes_that_were_not_pasted_are_named(run, answers, sandbox):
    sandbox.settings(scopes=["ZohoBigin.modules.ALL", "ZohoBigin.users.READ"])
    output, exit_code = run("authorize")
    assert exit_code == 0
    assert "granted  ZohoBigin.modules.READ" in output, "ALL is as good"
    assert "missing  ZohoBigin.send_mail.all.CREATE" in output
    assert shown_json(output)


@pytest.mark.parametrize(("fault", "says"), [("invalid_token", "another region"), ("dropped", "no response")])
def test_the_refresh_token_is_shown_even_if_bigin_cannot_be_used(run, answers, sandbox, fault, says):
    sandbox.fault("any", fault, times=None, skip=1)
    output, exit_code = run("authorize")
    assert exit_code == 1
    assert says in output
    assert shown_json(output)["bigin_default"]["extra"]["refresh_token"]


@pytest.mark.parametrize(
    ("answer", "value", "says"),
    [
        ("BIGIN_GRANT_CODE", "1000.used", "authorize again"),
        ("BIGIN_CLIENT_SECRET", "mistyped", "client secret"),
        ("BIGIN_REGION", "uk", "zoho.com, zoho.eu, zoho.com.au"),
        ("BIGIN_CLIENT_ID", " ", "BIGIN_CLIENT_ID"),
        ("BIGIN_SANDBOX", "https://accounts.zoho.com.evil.example", "not trusted"),
    ],
)
def test_a_wrong_answer_is_explained(run, answers, monkeypatch, answer, value, says):
    monkeypatch.setenv(answer, value)
    output, error = run("authorize")
    assert says in error
    for secret in ("BIGIN_CLIENT_SECRET", "BIGIN_GRANT_CODE"):
        assert os.environ[secret] not in output + error


# A separate controlling terminal, from which hidden answers are read.
IN_A_TERMINAL = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module("airflow_provider_bigin", run_name="__main__", alter_sys=True)
"""


class Terminal:
    """A command with a person in front of it."""

    def __init__(self, *arguments, environment):
        self._screen, tty = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", IN_A_TERMINAL, *arguments],
            stdin=tty,
            stdout=tty,
            stderr=tty,
            start_new_session=True,
            env={**os.environ, **environment},
        )
        os.close(tty)
        self.shown = ""

    def answer(self, question, text):
        while question not in self.shown.splitlines()[-1:]:
            self._look()
        os.write(self._screen, f"{text}\n".encode())

    def read_to_the_end(self):
        try:
            while True:
                self._look()
        except OSError:  # nobody has the terminal open anymore
            os.close(self._screen)
        self.process.wait(timeout=10)
        return self.shown

    def _look(self):
        self.shown += os.read(self._screen, 4096).decode()


def test_secrets_are_typed_unseen_and_are_in_no_process_list(sandbox):
    connection, code = sandbox.connection(), sandbox.new_grant()
    terminal = Terminal("authorize", environment={"BIGIN_SANDBOX": sandbox.url})
    terminal.answer(f"Region ({', '.join(DATA_CENTERS)}) [zoho.com]: ", "")
    terminal.answer("Client ID: ", connection["login"])
    terminal.answer("Client Secret (not shown): ", connection["password"])
    terminal.answer("Generated code (not shown): ", code)
    command_line = Path(f"/proc/{terminal.process.pid}/cmdline").read_text()
    typed = terminal.shown
    shown = terminal.read_to_the_end()
    assert terminal.process.returncode == 0
    assert connection["password"] not in typed + command_line
    assert code not in shown + command_line
    assert shown_json(shown.replace("\r\n", "\n"))["bigin_default"]["extra"]["region"] == "zoho.com"


# Runs commands one after another on a new database, each given as [environment, arguments].
ON_A_DATABASE = """
import json, os, sys
from airflow import settings
from airflow.models import Connection, import_all_models
from airflow.utils.session import create_session
from sqlalchemy import select
from airflow_provider_bigin.__main__ import main

import_all_models()
table = Connection.__table__
referred = [key.column.table for key in table.foreign_keys]
table.metadata.create_all(settings.engine, tables=[table, *referred])
other = {"conn_type": "bigin", "login": "old", "password": "old",
         "extra": {"access_token": "old", "region": "jp", "from_email": "team@example.com"}}
with create_session() as session:
    session.add(Connection(conn_id="there", description="Kept", **other))
    session.add(Connection(conn_id="database", conn_type="postgres"))
results = {}
for name, environment, arguments in json.loads(sys.argv[1]):
    os.environ.update(environment)
    try:
        main(arguments)
    except SystemExit as end:
        results[name] = end.code
with create_session() as session:
    for connection in session.scalars(select(Connection)):
        results[connection.conn_id] = [
            connection.description, connection.login, connection.password, connection.port,
            connection.extra_dejson,
        ]
print("\\nresults", json.dumps(results))
"""


@pytest.fixture
def on_a_database(tmp_path):
    """Run commands on a new database and return their results, the connections, and the output."""

    def run(commands, typed=""):
        run = subprocess.run(
            [sys.executable, "-c", ON_A_DATABASE, json.dumps(commands)],
            env={**os.environ, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db"},
            check=True,
            capture_output=True,
            input=typed,
            text=True,
            timeout=100,
        )
        (line,) = (line for line in run.stdout.splitlines() if line.startswith("results "))
        return json.loads(line.removeprefix("results ")), run.stdout.replace(line, "")

    return run


def test_save_adds_and_only_replaces_when_told_to(answers, sandbox, on_a_database):
    codes = [{"BIGIN_GRANT_CODE": sandbox.new_grant()} for _ in range(5)]
    commands = [
        ("adding", codes[0], ["authorize", "new", "--save"]),
        ("adding again", codes[1], ["authorize", "new", "--save"]),
        ("adding to another type", codes[2], ["authorize", "database", "--save", "--overwrite"]),
        ("adding a strange id", codes[3], ["authorize", "strange id", "--save"]),
        ("overwriting", codes[4], ["authorize", "there", "--save", "--overwrite"]),
    ]
    results, printed = on_a_database(commands)
    assert (results["adding"], results["overwriting"]) == (0, 0)
    assert "--overwrite" in results["adding again"]
    assert "'postgres'" in results["adding to another type"]
    assert "not a valid connection id" in results["adding a strange id"]
    assert sandbox.counts()["token"] == 2, "a refused command has not used its code up"
    assert results["database"] == [None, None, None, None, {}]
    for conn_id, description, kept in (
        ("new", None, {}),
        ("there", "Kept", {"from_email": "team@example.com"}),
    ):
        told, client_id, secret, port, extra = results[conn_id]
        assert port == 443
        assert told == description
        assert (client_id, secret) == (answers["BIGIN_CLIENT_ID"], answers["BIGIN_CLIENT_SECRET"])
        assert extra.pop("refresh_token").startswith("1000.")
        assert extra == {
            **EMPTY_FIELDS,
            **kept,
            "region": "zoho.eu",
            "accounts_server": sandbox.url,
            "api_domain": sandbox.url,
        }
    assert answers["BIGIN_CLIENT_SECRET"] not in printed


@pytest.mark.parametrize(("typed", "revoked"), [("y\n", 1), ("n\n", 0), ("", 0)])
def test_who_overwrites_is_asked_whether_to_revoke_the_old_token(
    answers, sandbox, on_a_database, monkeypatch, typed, revoked
):
    commands = [
        ("adding", {"BIGIN_GRANT_CODE": sandbox.new_grant()}, ["authorize", "new", "--save"]),
        ("again", {"BIGIN_GRANT_CODE": sandbox.new_grant()}, ["authorize", "new", "--save", "--overwrite"]),
    ]
    results, printed = on_a_database(commands, typed)
    assert (results["adding"], results["again"]) == (0, 0)
    assert printed.count("Revoke the old refresh token?") == 1
    assert ("The old refresh token was revoked." in printed) == revoked == sandbox.counts()["revoke"]
    _, login, password, _, extra = results["new"]
    connection = {"conn_type": "bigin", "login": login, "password": password, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_NEW", json.dumps(connection))
    assert BiginHook("new").test_connection()[0], "the new one is as good as before"


@pytest.mark.parametrize(("typed", "is_saved"), [("y\n", True), ("n\n", False), ("", False)])
def test_save_never_prints_secrets(answers, sandbox, on_a_database, typed, is_saved):
    sandbox.fault("send_mail", "invalid_token")
    results, printed = on_a_database([("adding", {}, ["authorize", "new", "--save"])], typed)
    assert "another region" in printed
    assert results["adding"] == 1
    assert ("new" in results) == is_saved
    assert sandbox.counts()["revoke"] == (not is_saved), "what nobody has is of no use"
    assert answers["BIGIN_CLIENT_SECRET"] not in printed
    assert not re.search(r"1000\.[0-9a-f]{32}", printed)
