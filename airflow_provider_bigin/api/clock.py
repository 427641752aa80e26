"""What the package needs from a clock, and the real one; tests bring their own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time, measures durations and waits."""

    def time(self) -> float:
        """Return the current time in epoch seconds."""

    def monotonic(self) -> float:
        """Return seconds since some moment, by a clock that nobody sets and that counts suspended time."""

    def sleep(self, seconds: float, /) -> None:
        """Wait for this many seconds."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Return the current time in epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds since the machine booted; without suspended time where that is not available."""
        boot_time: int | None = getattr(time, "CLOCK_BOOTTIME", None)
        return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)

    def sleep(self, seconds: float, /) -> None:
        """Wait for this many seconds."""
        time.sleep(seconds)


SYSTEM_CLOCK = SystemClock()
