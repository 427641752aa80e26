"""Airflow's metrics, on 3.2 and later: only numbers, nothing personal."""

from __future__ import annotations

import os
import sys

import pytest

from airflow_provider_bigin.version_compat import AirflowFailException
from tests.task_instance import StateStore
from tests.unit.operators.rows import people

stats = pytest.importorskip("airflow.sdk.observability.stats")


class Counts(list):
    """A backend for Airflow's metrics that records what it is told."""

    def incr(self, stat, count=1, rate=1, *, tags=None):
        self.append((stat, tags or {}))

    def of(self, name):
        return [tags for stat, tags in self if stat == name]


@pytest.fixture
def store(tmp_path):
    return StateStore(tmp_path / "state.db")


@pytest.fixture
def counts(monkeypatch):
    counts = Counts()
    module = sys.modules[stats.normalize_name_for_stats.__module__]
    if hasattr(module, "_backend"):
        monkeypatch.setattr(module, "_backend", counts)
    else:  # Airflow 3.2
        monkeypatch.setattr(stats.Stats, "_instance_pid", os.getpid(), raising=False)
        monkeypatch.setattr(stats.Stats, "instance", counts)
    return counts


def test_mails_are_counted_by_outcome(make_bulk_instance, sandbox, clock, counts):
    rows = people(sandbox, 4)
    sandbox.fault("send_mail", "item_error", record_id=rows[0]["record_id"])
    sandbox.fault("send_mail", "429_credits", record_id=rows[3]["record_id"])
    instance = make_bulk_instance(rows, retries=0, max_concurrency=1)
    with pytest.raises(AirflowFailException):
        instance.run_to_the_end()
    first, second = ["failed", "sent", "sent", "failed"], ["already_sent", "already_sent", "failed", "sent"]
    assert sorted(tags["outcome"] for tags in counts.of("bigin.mails")) == sorted(first + second)
    assert {name for tags in counts.of("bigin.mails") for name in tags} == {"outcome"}


def test_requests_for_tokens_are_counted(make_instance, sandbox, counts):
    make_instance().run()
    assert counts.of("bigin.token_requests") == [{}] * sandbox.counts()["token"] == [{}]


def test_a_mail_does_not_fail_for_being_counted(make_instance, sandbox, counts, monkeypatch):
    def fail(*args, **how):
        raise OSError("no such host")

    monkeypatch.setattr(Counts, "incr", fail)
    make_instance().run()
    assert sandbox.mail_count() == 1
