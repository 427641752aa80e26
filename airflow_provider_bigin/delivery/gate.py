"""The gate that all calls of a run pass."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from airflow_provider_bigin.api.clock import Clock
from airflow_provider_bigin.delivery.attempt import send_repeatedly

Answer = TypeVar("Answer")

#: Calls without a refusal after which one more at a time is let through again.
CALM = 50
#: Seconds after which a waiting thread looks whether the run has ended.
LONGEST_NAP = 1.0


class Gate:
    """
    Let at most so many calls through at a time, and none while Bigin asks for a pause.

    It is a clock, too: who sleeps by it was refused, and holds up all the others. Each refusal also narrows
    the gate by one call, since Bigin's own limit may be lower than ours; calm widens it again.

    :param width: calls at a time, at most.
    :param clock: tells the time and waits.
    """

    def __init__(self, width: int, clock: Clock) -> None:
        self._clock = clock
        self._full_width = self._width = width
        self._running = self._calm = 0
        self._opens_at = 0.0
        self._closed_by: BaseException | None = None
        self._changed = threading.Condition()
        self._nap = threading.Lock()

    def call(self, request: Callable[[], Answer]) -> Answer:
        """
        Make a call when there is room, and again while it surely did not run.

        :raises BiginError: the last one, as it was.
        """

        def pass_and_request() -> Answer:
            with self:
                return request()

        return send_repeatedly(pass_and_request, clock=self)

    def time(self) -> float:
        """Return the current time in epoch seconds."""
        return self._clock.time()

    def monotonic(self) -> float:
        """Return seconds by a clock that nobody sets."""
        return self._clock.monotonic()

    def sleep(self, seconds: float, /) -> None:
        """Let nobody through for so many seconds."""
        with self._changed:
            self._opens_at = max(self._opens_at, self.time() + seconds)
            self._width = max(1, self._width - 1)
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
                self._changed.wait_for(lambda: self._closed_by or self._running < self._width)
                if self._closed_by:
                    raise self._closed_by
                if self._opens_at <= self.time():
                    self._running += 1
                    return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._running -= 1
            self._calm += 1
            if self._calm >= CALM and self._width < self._full_width:
                self._width += 1
                self._calm = 0
            self._changed.notify_all()

    def _sit_out_pause(self) -> None:
        with self._nap:  # one waits for all
            while not self._closed_by and (remaining := self._opens_at - self.time()) > 0:
                self._clock.sleep(min(remaining, LONGEST_NAP))
