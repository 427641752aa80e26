"""What the package needs of a clock. The standard library's ``time`` module is one; tests bring another."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Tells the time in epoch seconds and waits."""

    def time(self) -> float:
        """Return the current time in epoch seconds."""

    def sleep(self, seconds: float, /) -> None:
        """Wait for so many seconds."""
