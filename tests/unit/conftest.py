"""Fixtures for tests that use the sandbox through an Airflow connection."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox_control import SandboxControl


class SandboxClock:
    """
    The sandbox's clock for the package: waiting takes no real time but advances the clock of both.

    It is read without asking the sandbox, which would turn each call of the package into several.
    """

    def __init__(self, sandbox: SandboxControl) -> None:
        self.sandbox = sandbox
        self.waited: list[float] = []

    def time(self) -> float:
        return time.time() + self.sandbox.advanced

    def monotonic(self) -> float:
        return time.monotonic() + self.sandbox.advanced

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.sandbox.advance(seconds)


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Make an Airflow connection from the sandbox's, with changes; None removes a field."""

    def make(sandbox: SandboxControl, conn_id: str = "bigin_default", **changes: Any) -> str:
        connection = sandbox.connection()
        for name, value in changes.items():
            holder = connection if name in ("host", "login", "password") else connection["extra"]
            holder.pop(name, None) if value is None else holder.update({name: value})
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
        return conn_id

    return make


@pytest.fixture
def clock(sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch) -> SandboxClock:
    """Make the hook use the sandbox's clock."""
    from airflow_provider_bigin.hooks.bigin import BiginHook

    clock = SandboxClock(sandbox)
    monkeypatch.setattr(BiginHook, "clock", clock)
    return clock


@pytest.fixture
def still_time(clock: SandboxClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass only by waiting, however slow the machine is."""
    from airflow_provider_bigin.sandbox.clock import Clock

    now = clock.time()
    monkeypatch.setattr(Clock, "now", lambda clock: now + clock.offset)


@pytest.fixture
def hook(
    sandbox: SandboxControl, connect: Callable[..., str], clock: SandboxClock, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Return a hook on the sandbox that does not share its access token."""
    from airflow_provider_bigin.hooks.bigin import BiginHook

    monkeypatch.setenv("AIRFLOW__BIGIN__TOKEN_CACHE", "none")
    return BiginHook(connect(sandbox))


@pytest.fixture
def variables(monkeypatch, tmp_path):
    """Create a database with only Airflow's table of Variables, and return both."""
    from airflow import settings
    from airflow.models import Variable, import_all_models
    from sqlalchemy import create_engine
    from sqlalchemy.orm import configure_mappers, sessionmaker

    import_all_models()
    configure_mappers()  # here, because it triggers a deprecation warning on some Airflow versions
    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    table = Variable.__table__
    referred = [key.column.table for key in table.foreign_keys]
    table.metadata.create_all(engine, tables=[table, *referred])
    monkeypatch.setattr(settings, "Session", sessionmaker(engine))
    return table, engine
