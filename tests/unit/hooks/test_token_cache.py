from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest
from airflow.configuration import AIRFLOW_HOME

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.api.token_cache import FileTokenCache, MemoryTokenCache
from airflow_provider_bigin.hooks.bigin import BiginHook
from airflow_provider_bigin.hooks.token_cache import (
    VariableTokenCache,
    _warn_of_many_machines,
    configured_token_cache,
)
from airflow_provider_bigin.version_compat import _first, get_database_variable


def test_the_file_cache_is_the_default(monkeypatch):
    monkeypatch.delenv("AIRFLOW__BIGIN__TOKEN_CACHE", raising=False)
    cache = configured_token_cache()
    assert isinstance(cache, FileTokenCache)
    assert cache.directory == Path(AIRFLOW_HOME) / "bigin"


@pytest.mark.parametrize(
    ("configured", "kind"),
    [("file", FileTokenCache), (" Variable ", VariableTokenCache), ("none", MemoryTokenCache)],
)
def test_the_configuration_names_the_cache(monkeypatch, configured, kind):
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", configured)
    assert isinstance(configured_token_cache(), kind)


@pytest.mark.parametrize(
    ("executor", "told"),
    [
        ("LocalExecutor", None),
        ("SequentialExecutor", None),
        ("CeleryExecutor", "CeleryExecutor may run"),
        ("LocalExecutor,far:my.module.FarExecutor", "FarExecutor may run"),
    ],
)
def test_a_file_for_many_machines_is_told_once(monkeypatch, caplog, executor, told):
    _warn_of_many_machines.cache_clear()
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "file")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    for _ in range(2):
        configured_token_cache()
    assert caplog.text.count("token_cache is 'file'") == (told is not None)
    assert (told or "") in caplog.text


def test_an_unknown_cache_is_an_error(monkeypatch):
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "redis")
    with pytest.raises(BiginConfigurationError, match="file, variable or none"):
        configured_token_cache()


NAME = "access_token_0123"
CLAIM = "airflow_provider_bigin_claim_0123"


def is_hidden(key):
    return _first(
        "should_hide_value_for_key",
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    )(key)


def test_airflow_hides_the_token_but_not_the_claim(monkeypatch):
    key = f"airflow_provider_bigin_{NAME}"
    monkeypatch.setenv(f"AIRFLOW_VAR_{key.upper()}", "what is kept")
    assert VariableTokenCache().read(NAME) == "what is kept"
    assert is_hidden(key)
    assert not is_hidden(CLAIM)


# ---- the lock across machines, in a real Airflow database ----


@pytest.fixture
def machine(variables, clock):
    """Return a function that makes a token cache as on another machine."""
    return lambda: VariableTokenCache(clock)


def test_one_machine_at_a_time_has_the_lock(machine):
    with machine().lock(NAME):
        holder = get_database_variable(CLAIM)
        for _ in range(2):
            with pytest.raises(TimeoutError) as held, machine().lock(NAME):
                pytest.fail("There are two.")
            assert str(held.value) == holder
        with machine().lock("access_token_of_others"):
            pass
    assert get_database_variable(CLAIM) is None
    with machine().lock(NAME):
        assert get_database_variable(CLAIM) not in (None, holder)


def test_an_error_ends_the_lock(machine):
    with pytest.raises(ZeroDivisionError), machine().lock(NAME):
        1 / 0  # noqa: B018
    assert get_database_variable(CLAIM) is None


def test_the_lock_of_a_frozen_machine_is_taken_from_it(machine):
    with ExitStack() as second:
        with machine().lock(NAME):
            frozen = get_database_variable(CLAIM)
            second.enter_context(machine().lock(NAME, despite=frozen))
            holder = get_database_variable(CLAIM)
            assert holder != frozen
            with pytest.raises(TimeoutError, match=holder), machine().lock(NAME, despite=frozen):
                pytest.fail("There are two.")
        assert get_database_variable(CLAIM) == holder, "the frozen one woke up and left it alone"
    assert get_database_variable(CLAIM) is None


def test_waiting_takes_time_only_on_the_given_clock(machine, clock):
    with machine().lock(NAME):
        assert 5 <= sum(clock.waited) <= 6
        clock.waited.clear()
        with pytest.raises(TimeoutError), machine().lock(NAME):
            pytest.fail("There are two.")
        assert sum(clock.waited) == 2


def test_without_variables_there_is_a_warning_and_a_token(variables, sandbox, connect, monkeypatch, caplog):
    table, engine = variables
    table.drop(engine)
    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "variable")
    hook = BiginHook(connect(sandbox))
    for _ in range(2):
        hook.get_from_addresses()
    assert sandbox.counts()["token"] == 1
    assert caplog.text.count("The token cache could not be") == 1


def test_a_claim_that_cannot_be_deleted_costs_a_warning(machine, variables, caplog):
    table, engine = variables
    with machine().lock(NAME):
        table.drop(engine)
    assert f"Airflow Variable {CLAIM} could not be deleted (OperationalError)" in caplog.text
