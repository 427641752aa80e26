"""A log line every few seconds, with numbers but no addresses."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from airflow_provider_bigin.delivery.outcome import Outcome

log = logging.getLogger(__name__)

#: Seconds between two lines.
INTERVAL = 5.0


class Progress:
    """
    Report the progress of a run. Safe to use from several threads.

    :param total: total number of mails.
    :param clock: returns the time in seconds.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._begun_at = self._told_at = clock()
        self._lock = threading.Lock()

    def note(self, outcome: Outcome) -> None:
        """Count an outcome, and log a line if the last one is old enough."""
        with self._lock:
            self._counts[outcome.status] += 1
            now = self._clock()
            if now - self._told_at < INTERVAL:
                return
            self._told_at = now
            text = self._text(now)
        log.info(text)

    def _text(self, now: float) -> str:
        done, total = self._counts.total(), self._total
        # What earlier tries sent took no time in this one.
        worked = done - self._counts["already_sent"]
        rate = worked / (now - self._begun_at)
        left = f"{timedelta(seconds=round((total - done) / rate))}" if rate else "unknown"
        return (
            f"{done} of {total} mails done: {self._counts['sent']} sent, {self._counts['failed']} failed;"
            f" {rate:.1f} per second, time left {left}"
        )
