from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_bigin.api.errors import BiginConfigurationError, BiginStaleAttemptError
from airflow_provider_bigin.delivery.attempt import TaskAttempt
from airflow_provider_bigin.delivery.store import NoStore, TaskStateStore, VariableStore
from tests.task_instance import TaskInstance


@pytest.fixture
def instance():
    return TaskInstance(SimpleNamespace(task_id="mail", retries=3), store=None, start=1000.0)


def attempt_of(instance, task=None, description="mails", **changes):
    context = instance.context()
    for name, value in changes.items():
        setattr(context["ti"], name, value)
    return TaskAttempt.from_context(context, task or instance.task, describe=lambda: description)


@pytest.mark.parametrize(
    ("number", "max_tries", "retries", "first"),
    [
        pytest.param(1, 3, 3, 1, id="first try"),
        pytest.param(2, 3, 3, 1, id="retry"),
        pytest.param(3, 5, 3, 3, id="first try after a clear"),
        pytest.param(4, 5, 3, 3, id="retry after a clear"),
        pytest.param(2, 3, 2, 2, id="retries lowered"),
        pytest.param(2, 1, 3, 1, id="retries raised"),
        pytest.param(2, 5, 1, 2, id="retries lowered: the formula points to the future"),
        pytest.param(1, 0, 0, 1, id="no retries"),
    ],
)
def test_the_first_try_since_a_clear(make_attempt, number, max_tries, retries, first):
    assert make_attempt(number, max_tries=max_tries, retries=retries).first_number == first


@pytest.mark.parametrize(("number", "is_last"), [(1, False), (3, False), (4, True)])
def test_the_last_try(make_attempt, number, is_last):
    assert make_attempt(number, max_tries=3).is_last == is_last


def test_what_airflow_tells(instance):
    instance.retry()
    attempt = attempt_of(instance)
    assert attempt.identity == ("dag", "run", "mail", -1)
    numbers = (attempt.number, attempt.max_tries, attempt.clear_number, attempt.retries)
    assert numbers == (2, 3, 0, 3)
    assert (attempt.run, attempt.run_start) == ("1000.0", 1000.0)


def test_airflow_tells_when_a_try_runs_again(instance):
    assert not attempt_of(instance).is_again
    instance.run_again()
    attempt = attempt_of(instance)
    assert (attempt.is_again, attempt.began()) == (True, 1000.0)
    instance.retry()
    assert not attempt_of(instance).is_again


@pytest.mark.parametrize(("told", "map_index"), [(None, -1), (-1, -1), (7, 7)])
def test_mapped_tasks_are_tasks_of_their_own(instance, told, map_index):
    assert attempt_of(instance, map_index=told).identity == ("dag", "run", "mail", map_index)


class TestOperatorsInsideAnotherTask:
    def test_each_has_a_key_of_its_own_and_the_same_in_a_retry(self, instance):
        def keys():
            ti = instance.context()["ti"]
            context = {**instance.context(), "ti": ti}
            inner = [SimpleNamespace(task_id=name, retries=0) for name in ("a", "a", "b", "a")]
            texts = ["one", "two", "one", "one"]
            return [
                TaskAttempt.from_context(context, task, describe=lambda text=text: text).identity[4]
                for task, text in zip(inner, texts, strict=True)
            ]

        first = keys()
        assert len(set(first)) == 4
        instance.retry()
        assert keys() == first

    def test_retries_are_the_tasks(self, instance):
        assert attempt_of(instance, SimpleNamespace(task_id="inner", retries=0)).retries == 3

    def test_a_copy_of_the_task_itself_is_no_other(self, instance):
        copy = SimpleNamespace(task_id="mail", retries=3)
        assert attempt_of(instance, copy).identity == ("dag", "run", "mail", -1)


class TestStore:
    def test_the_state_store_if_there_is_one(self, instance):
        context = {**instance.context(), "task_state_store": object()}
        attempt = TaskAttempt.from_context(context, instance.task, describe=str)
        assert isinstance(attempt.store, TaskStateStore)

    def test_else_variables(self, instance):
        assert isinstance(attempt_of(instance).store, VariableStore)

    @pytest.mark.parametrize("value", ["none", " None "])
    def test_none_if_so_configured(self, instance, monkeypatch, value):
        monkeypatch.setenv("AIRFLOW__BIGIN__STATE", value)
        assert isinstance(attempt_of(instance).store, NoStore)

    def test_anything_else_is_an_error(self, instance, monkeypatch):
        monkeypatch.setenv("AIRFLOW__BIGIN__STATE", "redis")
        with pytest.raises(BiginConfigurationError, match="use auto or none"):
            attempt_of(instance)


class TestWanted:
    """The keys are Airflow's: a mapped task's ends in its map index."""

    @pytest.mark.parametrize("key", ["mail", "mail_7"])
    def test_a_running_try_is_wanted(self, instance, key):
        states = {"run": {key: "running"}}
        attempt_of(instance, get_task_states=lambda **which: states).ensure_wanted()

    @pytest.mark.parametrize(
        "states",
        [
            {},
            {"run": {}},
            {"other": {"mail": "running"}},
            *({"run": {"mail": s}} for s in ("failed", None, "queued")),
        ],
        ids=str,
    )
    def test_any_other_is_not(self, instance, states):
        with pytest.raises(BiginStaleAttemptError, match="given up"):
            attempt_of(instance, get_task_states=lambda **which: states).ensure_wanted()

    @pytest.mark.parametrize(("map_index", "asked"), [(-1, None), (0, 0), (7, 7)])
    def test_it_is_asked_about_its_own_instance(self, instance, map_index, asked):
        questions = []

        def get_task_states(**which):
            questions.append(which)
            return {"run": {"mail": "running"}}

        attempt_of(instance, map_index=map_index, get_task_states=get_task_states).ensure_wanted()
        assert questions == [{"dag_id": "dag", "task_ids": ["mail"], "run_ids": ["run"], "map_index": asked}]
