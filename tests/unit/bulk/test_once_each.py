from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_bigin.bulk.once_each import OnceEach


def test_many_threads_that_ask_at_once_share_one_call():
    calls = []
    all_ask = threading.Barrier(8)

    def double(number):
        calls.append(number)
        return number * 2

    doubled = OnceEach(double)

    def ask(number):
        all_ask.wait()
        return doubled(number)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, [1, 2] * 4)) == [2, 4] * 4
    assert sorted(calls) == [1, 2]


def test_a_failure_is_kept_too():
    calls = []

    def fail(key):
        calls.append(key)
        raise ValueError(key)

    failing = OnceEach(fail)
    for _ in range(3):
        with pytest.raises(ValueError, match="a"):
            failing("a")
    assert calls == ["a"]
