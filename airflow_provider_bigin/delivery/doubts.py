"""Doubts that a person is asked about, and what a person has said to them."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from airflow_provider_bigin.delivery.identity import Name, digest
from airflow_provider_bigin.delivery.policy import Word
from airflow_provider_bigin.delivery.state import Intent


class Reply(NamedTuple):
    """
    What has come of a question.

    :param word: what a person has said; None if nobody has in time.
    :param doubts: what the question was about.
    """

    word: Word | None
    doubts: Collection[str]


def doubt_of(go: str, name: Name, intent: Intent | None) -> str:
    """
    Identify the doubt whether one intent has become a mail, or whether a mail was begun at all.

    :param go: its identity.
    :param intent: the last one of the mail; None if nothing tells of one.
    """
    return digest(json.dumps([go, name, intent and (intent.attempt, intent.window)]))
