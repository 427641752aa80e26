"""Doubts that a person is asked about, and what that person said."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from airflow_provider_bigin.delivery.identity import Name, digest
from airflow_provider_bigin.delivery.policy import Word
from airflow_provider_bigin.delivery.state import Intent


class Reply(NamedTuple):
    """
    The reply to a question.

    :param word: what a person said; None if nobody answered in time.
    :param doubts: what the question was about.
    """

    word: Word | None
    doubts: Collection[str]


def doubt_of(go: str, name: Name, intent: Intent | None) -> str:
    """
    Identify the doubt whether an intent led to a mail, or whether a mail was ever attempted.

    :param go: identity of the go.
    :param intent: last intent of the mail; None if none is known.
    """
    return digest(json.dumps([go, name, intent and (intent.attempt, intent.window)]))
