"""How many calls to Bigin run at a time, and the back-off that they share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from airflow_provider_bigin.api.clock import Clock
from airflow_provider_bigin.api.repeat import send_repeatedly

Answer = TypeVar("Answer")

#: Consecutive calls without a refusal after which the limit is raised by one again.
CALM = 50
#: Seconds after which a waiting thread checks whether the run has ended.
CHECK_INTERVAL = 1.0


class ConcurrencyLimiter:
    """
    Limit how many calls run at a time, and let none through while Bigin asks for a pause.

    It also serves as a clock: a call that sleeps on it was refused, and holds up all others. Each refusal
    lowers the limit by one call, since Bigin's own may be lower than ours; calm raises it again.

    :param limit: maximum number of concurrent calls.
    :param clock: tells the time and waits.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        self._clock = clock
        self._full_limit = self._limit = limit
        self._running = self._calm = 0
        self._opens_at = 0.0
        self._closed_by: BaseException | None = None
        self._changed = threading.Condition()
        self._pause = threading.Lock()

    def call(self, request: Callable[[], Answer]) -> Answer:
        """
        Make a call when there is room, and repeat it as long as it certainly did not run.

        :raises BiginError: the last error, unchanged.
        """

        def request_in_turn() -> Answer:
            with self:
                return request()

        return send_repeatedly(request_in_turn, clock=self)

    def time(self) -> float:
        """Return the current time in epoch seconds."""
        return self._clock.time()

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary point in time."""
        return self._clock.monotonic()

    def sleep(self, seconds: float, /) -> None:
        """Let no call through for this many seconds."""
        with self._changed:
            self._opens_at = max(self._opens_at, self.monotonic() + seconds)
            self._limit = max(1, self._limit - 1)
            self._calm = 0

    def close(self, error: BaseException) -> None:
        """Let no more calls through: raise this error for each of them."""
        with self._changed:
            self._closed_by = self._closed_by or error
            self._changed.notify_all()

    def __enter__(self) -> None:
        while True:
            self._sit_out_pause()
            with self._changed:
                self._changed.wait_for(lambda: self._closed_by or self._running < self._limit)
                if self._closed_by:
                    raise self._closed_by
                if self._opens_at <= self.monotonic():
                    self._running += 1
                    return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._running -= 1
            self._calm += 1
            if self._calm >= CALM and self._limit < self._full_limit:
                self._limit += 1
                self._calm = 0
            self._changed.notify_all()

    def _sit_out_pause(self) -> None:
        with self._pause:  # one thread waits for all
            while not self._closed_by and (remaining := self._opens_at - self.monotonic()) > 0:
                self._clock.sleep(min(remaining, CHECK_INTERVAL))
