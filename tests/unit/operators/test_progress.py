from __future__ import annotations

import logging

from airflow_provider_bigin.delivery.outcome import Outcome
from airflow_provider_bigin.operators.progress import INTERVAL, Progress


class Seconds:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_line_every_few_seconds(caplog):
    caplog.set_level(logging.INFO)
    seconds = Seconds()
    progress = Progress(1000, seconds)
    for _ in range(100):
        progress.note(Outcome("already_sent"))
    for _ in range(200):
        seconds.now += 0.1
        progress.note(Outcome("sent", blocked=("ada@example.org",)))
    assert len(caplog.messages) == 20 // INTERVAL
    assert caplog.messages[0] == (
        "150 of 1000 mails done: 50 sent, 0 failed; 10.0 per second, time left 0:01:25"
    )


def test_no_rate_while_nothing_is_sent(caplog):
    caplog.set_level(logging.INFO)
    seconds = Seconds()
    progress = Progress(10, seconds)
    seconds.now += 60
    progress.note(Outcome("already_sent"))
    assert "time left unknown" in caplog.text
