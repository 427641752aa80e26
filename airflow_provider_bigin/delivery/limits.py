"""Which of Bigin's limits last too long to be sat out in a worker slot, and for how long."""

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

#: Seconds after which is looked again, where nothing tells how long it lasts.
UNTOLD = 3600.0
#: Seconds that an answer may ask for, at most; Zoho's limits are of a day.
MAX_TOLD = 7 * 86400.0


def lasts(error: BiginError) -> bool:
    """Tell whether an error is a limit, before which nothing was sent, that lasts longer than a minute."""
    return error.sent == "no" and (
        isinstance(error, (BiginCreditLimitError, BiginDailyLimitError, BiginTokenLimitError))
        or (error.retryable and (error.retry_after or 0) > MAX_PAUSE)
    )


def seconds_left(limit: BiginError, client: BiginClient) -> float:
    """
    Tell for how many seconds to wait for a limit: as the answer says, else as long as such limits last.

    It is a minute or more. Airflow fails a task that runs again before its scheduler has noticed the end of
    the last run: https://github.com/apache/airflow/issues/71580

    :param client: asks for the organization's time zone, where a day has to end.
    """
    seconds = limit.retry_after
    if seconds is None:
        seconds = seconds_of_day(client) if isinstance(limit, BiginDailyLimitError) else None
    return min(max(UNTOLD if seconds is None else seconds, MAX_PAUSE), MAX_TOLD)


def seconds_of_day(client: BiginClient) -> float | None:
    """Return how many seconds are left of the organization's day, None if it cannot be told."""
    try:
        zone = ZoneInfo(client.get_organization()["time_zone"])
        now = datetime.fromtimestamp(client.server_time() or client.clock.time(), zone)
    except (BiginError, KeyError, TypeError, ValueError, OSError):
        return None  # no scope, no credits, or no zone that this machine knows
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), zone)
    return midnight.timestamp() - now.timestamp()
