"""Do once per run what many rows share, such as a search or an upload."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlightCache(Generic[Key, Value]):
    """
    Call a function once per key, across all threads, and keep what it returned.

    What it raised goes to those who were waiting for it; the next caller tries again.

    :param function: returns the value for a key.
    """

    def __init__(self, function: Callable[[Key], Value]) -> None:
        self._function = function
        self._values: dict[Key, Value] = {}
        self._in_flight: dict[Key, Future[Value]] = {}
        self._lock = threading.Lock()

    def __call__(self, key: Key) -> Value:
        """Return the value for a key, waiting for it if another thread is already fetching it."""
        with self._lock:
            if key in self._values:
                return self._values[key]
            pending = self._in_flight.get(key)
            future = self._in_flight[key] = pending or Future()
        if pending is None:
            self._call(key, future)
        return future.result()

    def _call(self, key: Key, future: Future[Value]) -> None:
        try:
            value = self._function(key)
        except BaseException as error:
            with self._lock:
                del self._in_flight[key]
            future.set_exception(error)
        else:
            with self._lock:
                self._values[key] = value
                del self._in_flight[key]
            future.set_result(value)
