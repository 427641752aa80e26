"""What many rows share is made once in a run: a search, an upload."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlightCache(Generic[Key, Value]):
    """
    Call a function once for each key, whichever threads ask, and keep what it returned.

    What it raised is for those who asked meanwhile; the next one may have more luck.

    :param function: makes the value of a key.
    """

    def __init__(self, function: Callable[[Key], Value]) -> None:
        self._function = function
        self._values: dict[Key, Value] = {}
        self._under_way: dict[Key, Future[Value]] = {}
        self._lock = threading.Lock()

    def __call__(self, key: Key) -> Value:
        with self._lock:
            if key in self._values:
                return self._values[key]
            asked = self._under_way.get(key)
            future = self._under_way[key] = asked or Future()
        if asked is None:
            self._call(key, future)
        return future.result()

    def _call(self, key: Key, future: Future[Value]) -> None:
        try:
            value = self._function(key)
        except BaseException as error:
            with self._lock:
                del self._under_way[key]
            future.set_exception(error)
        else:
            with self._lock:
                self._values[key] = value
                del self._under_way[key]
            future.set_result(value)
