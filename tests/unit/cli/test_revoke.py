from __future__ import annotations

import io

import pytest

from airflow_provider_bigin.hooks.bigin import BiginHook

CONN_ID = "bigin_default"


def answer(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize("text", ["n\n", "\n", ""])
def test_nothing_is_revoked_without_a_yes(run, connect, sandbox, monkeypatch, text):
    connect(sandbox)
    answer(monkeypatch, text)
    assert run("revoke", CONN_ID)[1] == "Nothing was revoked."
    assert sandbox.counts()["revoke"] == 0


@pytest.mark.parametrize("arguments", [[], ["--yes"]])
def test_a_revoked_connection_is_of_no_use(run, connect, sandbox, monkeypatch, arguments):
    connect(sandbox)
    answer(monkeypatch, "y\n")
    output, exit_code = run("revoke", CONN_ID, *arguments)
    assert exit_code == 0
    assert "was revoked" in output
    assert "revoked" in run("check", CONN_ID)[1]


def test_what_is_revoked_twice_was_revoked_already(run, connect, sandbox):
    connect(sandbox)
    run("revoke", CONN_ID, "--yes")
    output, exit_code = run("revoke", CONN_ID, "--yes")
    assert exit_code == 0
    assert "was already revoked" in output


def test_a_token_that_is_not_known_is_not_quoted(run, connect, sandbox):
    connect(sandbox, refresh_token="1000.unknown")
    output, exit_code = run("revoke", CONN_ID, "--yes")
    assert exit_code == 0
    assert "is not known" in output
    assert "1000.unknown" not in output


def test_revoking_empties_the_cache(run, connect, sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "file")
    monkeypatch.setattr("airflow.configuration.AIRFLOW_HOME", str(tmp_path))
    connect(sandbox)
    assert run("check", CONN_ID)[1] == 0
    run("revoke", CONN_ID, "--yes")
    before = sandbox.counts()
    assert BiginHook(CONN_ID).test_connection()[0] is False
    assert sandbox.counts() == {**before, "token": 2}, "no kept token is tried"


def test_a_connection_without_a_refresh_token_has_nothing_to_revoke(run, connect, sandbox):
    connect(sandbox, access_token="1000.only")
    assert "no refresh token" in run("revoke", CONN_ID, "--yes")[1]


def test_an_unknown_connection_is_an_error(run):
    assert "no_such_connection" in run("revoke", "no_such_connection", "--yes")[1]
