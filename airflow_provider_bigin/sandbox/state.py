"""The running sandbox: the one object that every handler receives."""

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
    """
    A Bigin account, its clock, and the faults to inject.

    The account, its credentials, its settings, and the clock's offset are in the store; faults and the
    request log live only as long as the process.

    :param database: a SQLite file, or ``:memory:``.
    """

    def __init__(self, database: str = ":memory:") -> None:
        self.store = Store(database)
        self.clock = Clock(self._load("clock_offset", 0.0))
        self.settings = Settings.model_validate(self._load("settings", {}))
        self.faults = Faults()
        self.traffic = Traffic()
        self.throttled_until = 0.0
        credentials = self._load("credentials", None)
        self.credentials: dict[str, str] = credentials or seed.new_credentials()
        if credentials is None:
            self._plant()

    def connection(self, url: str) -> dict[str, Any]:
        """
        Return the Airflow connection to this sandbox, in the JSON form of ``AIRFLOW_CONN_...`` variables.

        :param url: the URL under which it is reached.
        """
        return {
            "conn_type": "bigin",
            "login": seed.CLIENT_ID,
            "password": self.credentials["client_secret"],
            "extra": {
                "refresh_token": self.credentials["refresh_token"],
                "accounts_server": url,
                "api_domain": url,
            },
        }

    def reset(self) -> None:
        """Return to the state of a new sandbox, with the same credentials."""
        self.store.clear()
        self.clock.offset = 0.0
        self.settings = Settings()
        self.faults.clear()
        self.traffic.clear()
        self.throttled_until = 0.0
        self._plant()

    def change_settings(self, changes: dict[str, Any]) -> None:
        """
        Change some settings and store them.

        :raises pydantic.ValidationError: if a name is unknown or a value is invalid.
        """
        self.settings = self.settings.patched(changes)
        self._save("settings", self.settings.model_dump())

    def advance_clock(self, seconds: float) -> None:
        """Move the clock and store its offset."""
        self.clock.advance(seconds)
        self._save("clock_offset", self.clock.offset)

    def _plant(self) -> None:
        now = self.clock.now()
        self._save("credentials", self.credentials)
        seed.plant(self.store, self.credentials["refresh_token"], now, iso(now))

    def _load(self, name: str, default: Any) -> Any:
        value = self.store.value("SELECT value FROM setting WHERE name = ?", name)
        return default if value is None else json.loads(value)

    def _save(self, name: str, value: Any) -> None:
        self.store.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", name, json.dumps(value))


async def _of_request(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


SandboxOfRequest = Annotated[Sandbox, Depends(_of_request)]
