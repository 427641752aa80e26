from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_bigin.compose.single_flight import SingleFlightCache


def test_many_threads_that_ask_at_once_share_one_call():
    calls = []
    all_ask = threading.Barrier(8)

    def double(number):
        calls.append(number)
        return number * 2

    doubled = SingleFlightCache(double)

    def ask(number):
        all_ask.wait()
        return doubled(number)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, [1, 2] * 4)) == [2, 4] * 4
    assert sorted(calls) == [1, 2]


def test_a_failure_is_not_kept():
    calls = []

    def fail_at_first(key):
        calls.append(key)
        if len(calls) == 1:
            raise ValueError(key)
        return "done"

    function = SingleFlightCache(fail_at_first)
    with pytest.raises(ValueError, match="a"):
        function("a")
    assert [function("a"), function("a")] == ["done", "done"]
    assert calls == ["a", "a"]
