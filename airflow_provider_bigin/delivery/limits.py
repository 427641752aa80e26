"""Which of Bigin's limits last too long to wait out in a worker slot, and for how long."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from airflow_provider_bigin.api.client import BiginClient
from airflow_provider_bigin.api.errors import (
    BiginCreditLimitError,
    BiginDailyLimitError,
    BiginError,
    BiginTokenLimitError,
)
from airflow_provider_bigin.api.repeat import MAX_PAUSE

#: Seconds to wait if nothing says how long a limit lasts.
UNTOLD = 3600.0
#: Maximum number of seconds that a response may ask for; Zoho's limits last a day.
MAX_TOLD = 7 * 86400.0


def lasts(error: BiginError) -> bool:
    """Return whether an error is a limit that lasts longer than a minute and kept a mail from being sent."""
    return error.sent == "no" and (
        isinstance(error, (BiginCreditLimitError, BiginDailyLimitError, BiginTokenLimitError))
        or (error.retryable and (error.retry_after or 0) > MAX_PAUSE)
    )


def seconds_left(limit: BiginError, client: BiginClient) -> float:
    """
    Return how many seconds to wait for a limit: as the response says, else as long as such limits last.

    This is at least a minute. Airflow fails a task that runs again before its scheduler has noticed the end
    of the last run: https://github.com/apache/airflow/issues/71580

    :param client: asks for the organization's time zone if a day has to end.
    """
    seconds = limit.retry_after
    if seconds is None:
        seconds = seconds_of_day(client) if isinstance(limit, BiginDailyLimitError) else None
    return min(max(UNTOLD if seconds is None else seconds, MAX_PAUSE), MAX_TOLD)


def seconds_of_day(client: BiginClient) -> float | None:
    """Return how many seconds are left of the organization's day, or None if that is unknown."""
    try:
        zone = ZoneInfo(client.get_organization()["time_zone"])
        now = datetime.fromtimestamp(client.server_time() or client.clock.time(), zone)
    except (BiginError, KeyError, TypeError, ValueError, OSError):
        return None  # no scope, no credits, or a time zone unknown to this machine
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), zone)
    return midnight.timestamp() - now.timestamp()
