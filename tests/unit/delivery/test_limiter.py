from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_bigin.api.client import SentMail
from airflow_provider_bigin.api.errors import BiginRateLimitError, BiginValidationError
from airflow_provider_bigin.delivery.limiter import CALM, ConcurrencyLimiter
from tests.unit.delivery.in_memory import Clock


def most_at_a_time(limiter, threads=8, calls=200):
    """Make calls from many threads and return how many of them ran at the same time."""
    running, most, lock = 0, 0, threading.Lock()

    def call():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        threading.Event().wait(0.001)
        with lock:
            running -= 1

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(limiter.call, call) for _ in range(calls)]:
            future.result()
    return most


def test_no_more_calls_at_a_time_than_its_limit():
    assert most_at_a_time(ConcurrencyLimiter(3, Clock())) == 3


def test_a_refusal_is_repeated_after_the_pause_that_bigin_asks_for():
    clock = Clock()
    answers = [BiginRateLimitError("busy", retry_after=30), SentMail("id")]

    def answer():
        if isinstance(answers[0], Exception):
            raise answers.pop(0)
        return answers[0], clock.now

    assert ConcurrencyLimiter(5, clock).call(answer) == (SentMail("id"), pytest.approx(1030, abs=2))


def test_a_refusal_holds_up_everybody():
    clock = Clock()
    limiter = ConcurrencyLimiter(5, clock)
    limiter.sleep(20)
    with ThreadPoolExecutor(4) as pool:
        times = list(pool.map(lambda _: limiter.call(clock.time), range(4)))
    assert min(times) >= 1020


def test_each_refusal_lowers_it_and_calm_raises_it():
    limiter = ConcurrencyLimiter(4, Clock())
    for _ in range(10):
        limiter.sleep(0)
    assert most_at_a_time(limiter, calls=CALM - 1) == 1
    assert most_at_a_time(limiter, calls=1 + 3 * CALM) > 1
    assert most_at_a_time(limiter) == 4


def test_what_is_refused_for_good_is_not_repeated():
    calls = []

    def refuse():
        calls.append(1)
        raise BiginValidationError("no")

    with pytest.raises(BiginValidationError):
        ConcurrencyLimiter(1, Clock()).call(refuse)
    assert len(calls) == 1


def test_a_closed_limiter_lets_nobody_through_and_says_why():
    limiter = ConcurrencyLimiter(1, Clock())
    error = OSError("no supervisor")
    limiter.close(error)
    limiter.close(ValueError("later"))
    with pytest.raises(OSError, match="no supervisor"):
        limiter.call(lambda: None)
