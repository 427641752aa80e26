"""The sandbox's clock: real time plus an offset, so that tests of waiting need not wait."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

# The organisation's time zone: not UTC, so that a client that drops offsets is found out.
ORG_TIME_ZONE = timezone(timedelta(hours=3))
ORG_TIME_ZONE_NAME = "Asia/Riyadh"


class Clock:
    """Everything that has to do with time in the sandbox asks this clock."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward (or back, with a negative number)."""
        self.offset += seconds


def iso(epoch: float, zone: timezone = ORG_TIME_ZONE) -> str:
    """Return a time as Bigin writes it: organisation's time zone, offset, no fractions."""
    return datetime.fromtimestamp(int(epoch), zone).isoformat()


def start_of_day(epoch: float) -> float:
    """Return the last midnight in the organisation's time zone."""
    moment = datetime.fromtimestamp(epoch, ORG_TIME_ZONE)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
