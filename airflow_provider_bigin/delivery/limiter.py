"""How many calls are made to Bigin at a time, and the back-off that they share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from airflow_provider_bigin.api.clock import Clock
from airflow_provider_bigin.api.repeat import send_repeatedly

Answer = TypeVar("Answer")

#: Calls without a refusal after which one more at a time is let through again.
CALM = 50
#: Seconds after which a waiting thread looks whether the run has ended.
CHECK_INTERVAL = 1.0


class ConcurrencyLimiter:
    """
    Let at most so many calls through at a time, and none while Bigin asks for a pause.

    It is a clock, too: who sleeps by it was refused, and holds up all the others. Each refusal also lowers
    the limit by one call, since Bigin's own may be lower than ours; calm raises it again.

    :param limit: calls at a time, at most.
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
        Make a call when there is room, and again while it surely did not run.

        :raises BiginError: the last one, as it was.
        """

        def request_in_turn() -> Answer:
            with self:
                return request()

        return send_repeatedly(request_in_turn, clock=self)

    def time(self) -> float:
        """Return the current time in epoch seconds."""
        return self._clock.time()

    def monotonic(self) -> float:
        """Return seconds since some moment."""
        return self._clock.monotonic()

    def sleep(self, seconds: float, /) -> None:
        """Let nobody through for so many seconds."""
        with self._changed:
            self._opens_at = max(self._opens_at, self.monotonic() + seconds)
            self._limit = max(1, self._limit - 1)
            self._calm = 0

    def close(self, error: BaseException) -> None:
        """Let nobody through any more: whoever comes gets this error."""
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
        with self._pause:  # one waits for all
            while not self._closed_by and (remaining := self._opens_at - self.monotonic()) > 0:
                self._clock.sleep(min(remaining, CHECK_INTERVAL))
