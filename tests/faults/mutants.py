"""Broken rules of the delivery protocol, which the enumeration has to find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from airflow_provider_bigin.api.errors import BiginFileRefusedError, BiginOutcomeUnknownError
from airflow_provider_bigin.delivery import engine, journal, lookup
from airflow_provider_bigin.delivery.journal import Go, Journal
from airflow_provider_bigin.delivery.lookup import Absent

#: What is replaced: the object, the name of the attribute, and the replacement.
Patches = list[tuple[Any, str, Any]]


def _skip_the_intent() -> Patches:
    def record_intents(self: Journal, intents: Any) -> None:
        self._go.open.update(intents)
        self._lease(intents)

    return [(Journal, "record_intents", record_intents)]


def _unreadable_is_absent() -> Patches:
    return [(module, "unread", lambda error: Absent()) for module in (engine, lookup)]


def _one_look_is_enough() -> Patches:
    def settle(client: Any, suspects: Any, scene: Any, *, each: Any = map) -> Any:
        return lookup.look(client, suspects, scene, each=each)

    return [(engine, "settle", settle)]


def _complete_without_asking() -> Patches:
    complete = Journal.complete

    def unasked(self: Journal) -> None:
        self._ask_airflow = lambda: None  # type: ignore[method-assign]
        complete(self)

    return [(Journal, "complete", unasked)]


def _never_complete() -> Patches:
    return [(Journal, "complete", Journal.save)]


def _each_clear_begins_a_new_go() -> Patches:
    recall = journal.recall

    def recall_as_complete(attempt: Any) -> Go:
        read_head = journal.read_head

        def read_as_complete(stored: Any) -> Any:
            head = read_head(stored)
            return replace(head, complete=True) if head else head

        journal.read_head = read_as_complete
        try:
            return recall(attempt)
        finally:
            journal.read_head = read_head

    return [(engine, "recall", recall_as_complete)]


def _post_again_after_a_lost_answer() -> Patches:
    def post_renewed(post: Any, message: Any, renew: Any) -> Any:
        try:
            return post(message)
        except (BiginFileRefusedError, BiginOutcomeUnknownError):
            return post(renew(message))

    return [(engine, "post_renewed", post_renewed)]


def _begin_without_a_write() -> Patches:
    return [(Journal, "begin", lambda self: None)]


MUTANTS: dict[str, Callable[[], Patches]] = {
    "skip the intent": _skip_the_intent,
    "unreadable is absent": _unreadable_is_absent,
    "one look is enough": _one_look_is_enough,
    "complete without asking": _complete_without_asking,
    "never complete": _never_complete,
    "each clear begins a new go": _each_clear_begins_a_new_go,
    "post again after a lost answer": _post_again_after_a_lost_answer,
    "begin without a write": _begin_without_a_write,
}
