"""What the engine needs from Airflow, in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_bigin.api.errors import BiginStaleAttemptError
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.identity import Item
from airflow_provider_bigin.delivery.state import Intent

ADA = RecordRef("Contacts", "5000000000000000101")


@dataclass
class Clock:
    """A clock that stands still until somebody sleeps or a test advances it."""

    now: float = 1000.0
    waited: list[float] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.waited.append(seconds)
        self.now += seconds


@dataclass
class Airflow:
    """
    A store that keeps values as text, as Airflow's databases do.

    :ivar failing: the error that each write raises, until the clock reaches ``fails_until``.
    :ivar is_wanted: whether it says that the try is still wanted.
    :ivar freezes_for: for how many seconds the worker freezes before it reads the next answer to that; then
        the try is wanted no more.
    """

    clock: Clock
    values: dict[str, str] = field(default_factory=dict)
    written: list[str] = field(default_factory=list)
    failing: Exception | None = None
    fails_until: float = float("inf")
    is_wanted: bool = True
    freezes_for: float = 0.0
    questions: int = 0

    def get(self, key: str) -> Any:
        return json.loads(self.values[key]) if key in self.values else None

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._change(key)
        self.values[key] = json.dumps(value)

    def delete(self, key: str) -> None:
        self._change(key)
        self.values.pop(key, None)

    def ensure_wanted(self) -> None:
        self.questions += 1
        if not self.is_wanted:
            raise BiginStaleAttemptError("given up")
        if self.freezes_for:
            self.clock.now += self.freezes_for
            self.freezes_for, self.is_wanted = 0.0, False

    def _change(self, key: str) -> None:
        if self.failing and self.clock.now < self.fails_until:
            raise self.failing
        self.written.append(key.rpartition(".")[2] if key.endswith(".head") else key)


def make_intent(row: str, number: int = 0, **changes: Any) -> Intent:
    """Make the intent of a mail to Ada."""
    told = {"subject": "s" * 16, "people": ("p" * 16,), "content": "c" * 16, "scheduled": None}
    item = Item(row, number, "m" * 16, "w" * 16)
    return Intent(
        **{**told, "item": item, "attempt": 1, "record": ADA, "is_marked": True, "window": (0, 0), **changes}
    )
