from __future__ import annotations

import pytest

from airflow_provider_bigin.api.oauth import SCOPES

CONN_ID = "bigin_default"


def verdicts(output):
    lines = (
        line.split() for line in output.splitlines() if line.startswith(("granted", "missing", "unknown"))
    )
    return {scope: verdict for verdict, scope in lines}


def test_a_good_connection_has_every_scope(run, connect, sandbox):
    connect(sandbox)
    output, exit_code = run("check", CONN_ID)
    assert exit_code == 0
    assert verdicts(output) == dict.fromkeys(SCOPES, "granted")
    assert "as Ada Airflow of Airflow Sandbox." in output


def test_nothing_is_sent_or_made(run, connect, sandbox):
    connect(sandbox)
    run("check", CONN_ID)
    assert sandbox.mails() == []
    changing = [request for request in sandbox.log() if request["method"] != "GET"]
    assert {request["call"] for request in changing} == {"token", "send_mail", "files"}
    assert all(request["status"] == 400 for request in changing if request["call"] != "token")


@pytest.mark.parametrize("missing", SCOPES)
def test_a_missing_scope_is_named(run, connect, sandbox, missing):
    sandbox.settings(scopes=[scope for scope in SCOPES if scope != missing])
    connect(sandbox)
    output, exit_code = run("check", CONN_ID)
    expected = {**dict.fromkeys(SCOPES, "granted"), missing: "missing"}
    if missing == "ZohoBigin.modules.READ":
        expected["ZohoSearch.securesearch.READ"] = "unknown"
    assert verdicts(output) == expected
    assert exit_code == 1
    assert "authorize again" in output


def test_what_bigin_does_not_tell_is_not_called_missing(run, connect, sandbox):
    connect(sandbox)
    sandbox.fault("files", "500_before", times=None)
    output, exit_code = run("check", CONN_ID)
    assert verdicts(output)["ZohoBigin.Files.CREATE"] == "unknown"
    assert exit_code == 0


def test_wrong_credentials_are_explained(run, connect, sandbox):
    connect(sandbox, password="mistyped")
    output, error = run("check", CONN_ID)
    assert verdicts(output) == {}
    assert "The client secret does not belong to the client ID" in error
    assert "mistyped" not in output + error


def test_an_unknown_connection_is_an_error(run):
    assert "no_such_connection" in run("check", "no_such_connection")[1]
