"""The running sandbox: one object that every handler is given."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Request

from airflow_provider_bigin.sandbox import seed
from airflow_provider_bigin.sandbox.clock import Clock, iso
from airflow_provider_bigin.sandbox.faults import Faults
from airflow_provider_bigin.sandbox.settings import Settings
from airflow_provider_bigin.sandbox.store import Store
from airflow_provider_bigin.sandbox.traffic import Traffic


class Sandbox:
    """A Bigin account, the clock it lives by, and what is to go wrong with it.

    The account, its settings and the clock's offset are in the store; faults and the request log belong to
    the process.

    :param database: a SQLite file, or ``:memory:``.
    """

    def __init__(self, database: str = ":memory:") -> None:
        self.store = Store(database)
        self.clock = Clock(self._load("clock_offset", 0.0))
        self.settings = Settings.model_validate(self._load("settings", {}))
        self.faults = Faults()
        self.traffic = Traffic()
        self.throttled_until = 0.0
        if not self.store.value("SELECT count(*) FROM refresh_token"):
            self._plant()

    def reset(self) -> None:
        """Return to the state of a new sandbox."""
        self.store.clear()
        self.clock.offset = 0.0
        self.settings = Settings()
        self.faults.clear()
        self.traffic.clear()
        self.throttled_until = 0.0
        self._plant()

    def change_settings(self, changes: dict[str, Any]) -> None:
        """Change some settings and keep them.

        :raises pydantic.ValidationError: for an unknown name or an impossible value.
        """
        self.settings = self.settings.patched(changes)
        self._save("settings", self.settings.model_dump())

    def advance_clock(self, seconds: float) -> None:
        """Move the clock and keep its offset."""
        self.clock.advance(seconds)
        self._save("clock_offset", self.clock.offset)

    def _plant(self) -> None:
        now = self.clock.now()
        seed.plant(self.store, now, iso(now))

    def _load(self, name: str, default: Any) -> Any:
        value = self.store.value("SELECT value FROM setting WHERE name = ?", name)
        return default if value is None else json.loads(value)

    def _save(self, name: str, value: Any) -> None:
        self.store.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", name, json.dumps(value))


async def _of_request(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


SandboxOfRequest = Annotated[Sandbox, Depends(_of_request)]
