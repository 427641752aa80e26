from __future__ import annotations

import io
import time

import pytest
from sqlalchemy import select

from airflow_provider_bigin.delivery.state import Head, as_json
from airflow_provider_bigin.delivery.store import VariableStore
from airflow_provider_bigin.version_compat import set_database_variable

DAY = 86400


@pytest.fixture(autouse=True)
def database(variables):
    """Return a function that lists the keys of all Variables."""
    table, engine = variables

    def keys():
        with engine.connect() as connection:
            return set(connection.scalars(select(table.c.key)))

    return keys


@pytest.fixture
def leave():
    """Store the state of a task whose run started this many days ago."""

    def state_of(task_id, days, segments=0):
        store = VariableStore(("orders", "run", task_id, -1))
        start = time.time() - days * DAY
        head = Head(
            1, "go", "salt", 1, 0, 1, 1, None, False, False, (0, segments), (), (), (), "owner", "", start
        )
        store.write("head", as_json(head))
        for number in range(segments):
            store.write(f"segment.{number}", {"version": 1, "go": "go", "results": []})
        return store

    return state_of


def test_what_old_runs_have_left_is_listed_and_removed(run, database, leave):
    leave("old", 31, segments=2)
    leave("new", 29)
    set_database_variable("airflow_provider_bigin_access_token_0123", "secret", description="")
    set_database_variable("airflow-provider-bigin-state-mine", "mine", description="")
    output, exit_code = run("clean", "--yes")
    assert exit_code == 0
    assert "orders.run.old.-1" in output
    assert "orders.run.new.-1" not in output
    assert "Removed the state of 1 tasks, 3 Variables." in output
    assert database() == {
        VariableStore(("orders", "run", "new", -1))._name("head"),
        "airflow_provider_bigin_access_token_0123",
        "airflow-provider-bigin-state-mine",
    }


@pytest.mark.parametrize(
    ("answer", "is_removed"), [("y\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_nothing_is_removed_without_a_yes(run, database, leave, monkeypatch, answer, is_removed):
    leave("old", 31)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    output, end = run("clean")
    assert "sends all its mails again" in output
    assert end == (0 if is_removed else "Nothing was removed.")
    assert (database() == set()) == is_removed


def test_the_age_can_be_given(run, database, leave):
    leave("old", 3)
    leave("new", 1)
    run("clean", "--yes", "--older-than=2")
    assert len(database()) == 1


@pytest.mark.parametrize("edited", ["no JSON", "{}", '{"version": 99}', "[" * 100_000, "", None])
def test_what_cannot_be_read_counts_as_old(run, database, leave, edited):
    name = leave("edited", 0, segments=1)._name("head")
    set_database_variable(name, edited, description="State of\x1b[2J orders") if edited is not None else None
    if edited is None:
        VariableStore(("orders", "run", "edited", -1)).delete("head")
    output, _ = run("clean", "--yes")
    assert "unknown" in output
    assert "\x1b" not in output
    assert database() == set()


def test_where_nothing_is_left_that_is_said(run, leave):
    leave("new", 1)
    assert run("clean") == ("No run that began more than 30 days ago has left any state.\n", 0)
