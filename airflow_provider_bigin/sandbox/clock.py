"""The sandbox's clock: real time plus an offset, so that tests of waiting do not have to wait."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

# The organization's time zone. Not UTC, so that a client that drops offsets is caught.
ORG_TIME_ZONE = timezone(timedelta(hours=3))
ORG_TIME_ZONE_NAME = "Asia/Riyadh"


class Clock:
    """The source of time for everything in the sandbox."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return time.time() + self.offset

    def advance(self, seconds: float) -> None:
        """Move the clock forward (or back, with a negative number)."""
        self.offset += seconds


def iso(epoch: float, zone: timezone = ORG_TIME_ZONE) -> str:
    """Return a time as Bigin writes it: in the organization's time zone, with offset, without fractions."""
    return datetime.fromtimestamp(int(epoch), zone).isoformat()


def start_of_day(epoch: float) -> float:
    """Return the most recent midnight in the organization's time zone."""
    moment = datetime.fromtimestamp(epoch, ORG_TIME_ZONE)
    return moment.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
