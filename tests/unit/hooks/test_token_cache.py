from __future__ import annotations

from pathlib import Path

import pytest
from airflow.configuration import AIRFLOW_HOME

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.api.token_cache import FileTokenCache, MemoryTokenCache
from airflow_provider_bigin.hooks.token_cache import (
    VariableTokenCache,
    _warn_of_many_machines,
    configured_token_cache,
)
from airflow_provider_bigin.version_compat import _first


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


def test_airflow_hides_the_value_of_the_variable(monkeypatch, tmp_path):
    should_hide_value_for_key = _first(
        "should_hide_value_for_key",
        "airflow.sdk._shared.secrets_masker",
        "airflow.sdk.execution_time.secrets_masker",
        "airflow.utils.log.secrets_masker",
    )
    key = "airflow_provider_bigin_access_token_0123"
    monkeypatch.setenv(f"AIRFLOW_VAR_{key.upper()}", "what is kept")
    assert VariableTokenCache(tmp_path).read("access_token_0123") == "what is kept"
    assert should_hide_value_for_key(key)
