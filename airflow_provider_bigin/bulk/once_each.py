"""What many rows share is made once in a run: a search, an upload."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class OnceEach(Generic[Key, Value]):
    """
    Call a function once for each key, whichever threads ask, and keep what it returned or raised.

    :param function: makes the value of a key.
    """

    def __init__(self, function: Callable[[Key], Value]) -> None:
        self._function = function
        self._futures: dict[Key, Future[Value]] = {}
        self._lock = threading.Lock()

    def __call__(self, key: Key) -> Value:
        with self._lock:
            future = self._futures.get(key)
            is_first = future is None
            if future is None:
                future = self._futures[key] = Future()
        if is_first:
            try:
                future.set_result(self._function(key))
            except BaseException as error:
                future.set_exception(error)
        return future.result()
