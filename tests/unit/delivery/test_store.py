"""Variables in a real Airflow database, and the keys of the task state store."""

from __future__ import annotations

import pytest

from airflow_provider_bigin.delivery.store import NoStore, TaskStateStore, VariableStore
from airflow_provider_bigin.version_compat import get_database_variable, get_variable, set_variable

IDENTITY = ("dag", "run", "task", -1)


@pytest.fixture(scope="module")
def database():
    """Airflow's own database, with only the table of Variables and those it references."""
    from airflow import settings
    from airflow.models import Variable

    if settings.engine is None:
        settings.configure_orm()
    table = Variable.__table__
    for needed in (*(key.column.table for key in table.foreign_keys), table):
        needed.create(settings.engine, checkfirst=True)


@pytest.fixture
def variables(database):
    store = VariableStore(IDENTITY)
    yield store
    for name in ("head", "segment.0"):
        store.delete(name)


class TestVariableStore:
    @pytest.mark.parametrize("value", [{"version": 1, "open": [["İ", None, 1.5]]}, {}], ids=str)
    def test_what_is_written_is_read(self, variables, value):
        variables.write("head", value)
        assert variables.read("head") == value
        assert VariableStore(IDENTITY).read("head") == value

    def test_a_write_replaces(self, variables):
        variables.write("head", {"n": 1})
        variables.write("head", {"n": 2})
        assert variables.read("head") == {"n": 2}

    def test_nothing_is_there_at_first_and_after_a_deletion(self, variables):
        assert variables.read("head") is None
        variables.write("head", {"n": 1})
        variables.delete("head")
        variables.delete("head")
        assert variables.read("head") is None

    def test_head_and_segments_are_kept_apart(self, variables):
        variables.write("head", {"n": 1})
        variables.write("segment.0", {"n": 2})
        variables.delete("segment.0")
        assert variables.read("head") == {"n": 1}

    @pytest.mark.parametrize(
        "other", [("dag", "run", "task", 0), ("dag", "run2", "task", -1), (*IDENTITY, "key")]
    )
    def test_each_task_instance_has_its_own(self, variables, other):
        variables.write("head", {"n": 1})
        assert VariableStore(other).read("head") is None

    def test_secrets_backends_are_not_asked(self, variables, monkeypatch):
        """Environment variables are the first backend that ``Variable.get`` tries."""
        variables.write("head", {"n": 1})
        key = next(iter(keys_in_database()))
        monkeypatch.setenv(f"AIRFLOW_VAR_{key.upper()}", '{"n": 2}')
        assert get_variable(key) == '{"n": 2}'
        assert variables.read("head") == {"n": 1}
        variables.delete("head")
        assert variables.read("head") is None
        variables.write("head", {"n": 3})
        assert variables.read("head") == {"n": 3}

    def test_what_somebody_edited_is_given_as_it_is(self, variables):
        variables.write("head", {"n": 1})
        (key,) = keys_in_database()
        set_variable(key, "{edited", description="")
        assert variables.read("head") == "{edited"

    def test_people_see_whose_it_is(self, variables):
        variables.write("head", {"n": 1})
        assert keys_in_database(describe=True) == {
            "State of the mails of dag.run.task.-1; see airflow bigin clean"
        }


def keys_in_database(*, describe=False):
    from airflow.models import Variable
    from airflow.utils.session import create_session

    with create_session() as session:
        rows = session.query(Variable).filter(Variable.key.like("airflow_provider_bigin_state_%")).all()
        return {row.description if describe else row.key for row in rows}


def test_a_variable_that_is_not_there(database):
    assert get_database_variable("nobody_has_this") is None


class TestTaskStateStore:
    def test_operators_inside_one_task_are_kept_apart(self, airflow):
        one, two = TaskStateStore(airflow, "one"), TaskStateStore(airflow, "two")
        one.write("head", {"n": 1})
        two.write("head", {"n": 2})
        one.delete("head")
        assert (one.read("head"), two.read("head")) == (None, {"n": 2})

    def test_what_it_keeps_does_not_expire(self, airflow, monkeypatch):
        sdk = pytest.importorskip("airflow.sdk")
        if not hasattr(sdk, "NEVER_EXPIRE"):
            pytest.skip("before Airflow 3.3 there is no state store")
        kept = []
        monkeypatch.setattr(airflow, "set", lambda key, value, retention: kept.append((key, retention)))
        TaskStateStore(airflow).write("head", {})
        assert kept == [("airflow_provider_bigin.task.head", sdk.NEVER_EXPIRE)]


def test_where_nothing_is_kept_nothing_is_read():
    NoStore().write("head", {"n": 1})
    assert NoStore().read("head") is None
