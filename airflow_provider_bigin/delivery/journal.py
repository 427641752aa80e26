"""
The journal of many mails: which are announced, and what became of those before, in few writes.

It is a sequence of entries in Airflow's task state store, one key for each. Every entry holds the results
since the entry before it and the intents of all mails that may be sent from now on, or whose outcome is open:
so one write closes a block of mails and opens the next. Of the intents only those of the last entry count.
"""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_bigin.api.client import BiginClient
from airflow_provider_bigin.delivery.intent import MAX_AGE, Intent, ensure_recent, read_intent
from airflow_provider_bigin.delivery.lookup import bigin_time, latest_arrival
from airflow_provider_bigin.delivery.message import Message
from airflow_provider_bigin.delivery.outcome import Outcome
from airflow_provider_bigin.delivery.task_try import TaskStateStore, TaskTry

#: Where entries are kept; their number follows.
KEY_PREFIX = "airflow_provider_bigin.bulk"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Announced:
    """A mail that may be sent, or may have been; ``addressee`` tells whom it is for."""

    addressee: str
    intent: Intent


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an announced mail."""

    addressee: str
    outcome: Outcome


@dataclass(frozen=True)
class Entry:
    """One write."""

    max_tries: int
    epoch: int
    results: Mapping[str, Result]
    open: Mapping[str, Announced]
    is_complete: bool

    def as_json(self) -> dict[str, Any]:
        """Return what the store keeps."""
        return {
            "version": VERSION,
            "max_tries": self.max_tries,
            "epoch": self.epoch,
            "results": [
                [key, result.addressee, *_outcome_as_list(result.outcome)]
                for key, result in self.results.items()
            ],
            "open": [
                [key, announced.addressee, announced.intent.as_json()] for key, announced in self.open.items()
            ],
            "complete": self.is_complete,
        }


@dataclass
class History:
    """
    What earlier tries have left.

    ``results`` are those since the task was last cleared after a success; ``claimed`` are the mails that
    earlier sends have had. ``is_whole`` is False if an entry could not be understood.
    """

    epoch: int
    length: int = 0
    was_cleared: bool = False
    is_whole: bool = True
    results: dict[str, Result] = field(default_factory=dict)
    open: dict[str, Announced] = field(default_factory=dict)
    claimed: set[str] = field(default_factory=set)


class Journal:
    """
    Keep the journal of one try. Safe to use from several threads.

    :param task_try: the running try, whose store keeps the entries; without a store nothing is kept.
    :param client: tells Bigin's time.
    """

    def __init__(self, task_try: TaskTry, client: BiginClient) -> None:
        self.history = recall(task_try)
        self.epoch = self.history.epoch
        self.open = dict(self.history.open)
        self._try = task_try
        self._client = client
        self._length = self.history.length
        self._results: dict[str, Result] = {}  # since the last entry
        self._waiting: set[str] = set()  # announced, and surely not sent yet
        self._lock = threading.Lock()

    def announce(self, messages: Mapping[str, tuple[Message, str]]) -> None:
        """
        Announce mails that are about to be sent, each with its marker.

        :raises BiginTryGivenUpError: if Airflow has given up on this try.
        """
        with self._lock:
            since, until = self._window()
            for key, (message, marker) in messages.items():
                intent = Intent.of(*message.record, message.mail, since=since, until=until, marker=marker)
                self.open[key] = Announced(addressee_of(message), intent)
            self._waiting |= messages.keys()
            self._write()

    def before_post(self, key: str) -> None:
        """
        Make sure that a mail was announced only seconds ago, else announce anew all that wait.

        Called right before the POST of a mail that no POST before it can have sent.
        """
        with self._lock:
            self._waiting.add(key)
            since, until = self._window()
            if since - self.open[key].intent.since > MAX_AGE:
                for waiting in self._waiting:
                    announced = self.open[waiting]
                    intent = replace(announced.intent, since=since, until=until)
                    self.open[waiting] = replace(announced, intent=intent)
                self._write()
                ensure_recent(since, bigin_time(self._client))
            self._waiting.discard(key)

    def finish(self, key: str, outcome: Outcome) -> None:
        """Take down what became of an announced mail for good: it is delivered, or Bigin refuses it."""
        with self._lock:
            self._results[key] = Result(self.open.pop(key).addressee, outcome)

    def withdraw(self, key: str) -> None:
        """Take down that an announced mail was surely not sent, and that a later try may send it."""
        with self._lock:
            self._waiting.discard(key)
            del self.open[key]

    def close(self, *, is_complete: bool) -> None:
        """
        Write the last results.

        :param is_complete: whether the task is about to succeed, so that a person who clears it wants all
            mails sent again.
        """
        with self._lock:
            if self._length or self._results:
                self._try.note(self._next_key(), self._entry(is_complete=is_complete).as_json())

    def _write(self) -> None:
        self._try.announce(self._next_key(), self._entry(is_complete=False).as_json())
        self._length += 1
        self._results = {}

    def _entry(self, *, is_complete: bool) -> Entry:
        return Entry(self._try.max_tries, self.epoch, self._results, self.open, is_complete)

    def _next_key(self) -> str:
        return f"{KEY_PREFIX}.{self._length}"

    def _window(self) -> tuple[float, float]:
        """Return the time in which a mail that is announced now will leave, if it leaves."""
        return bigin_time(self._client), latest_arrival(self._client) + MAX_AGE


def recall(task_try: TaskTry) -> History:
    """Read what earlier tries have left."""
    history = History(epoch=task_try.first_number)
    last: Entry | None = None
    for stored in _stored_entries(task_try.store):
        history.length += 1
        entry = read_entry(stored)
        if entry is None:
            history.is_whole = False
            continue
        if last and entry.epoch != last.epoch:
            _begin_anew(history)
        elif last and entry.max_tries != last.max_tries:
            _keep_delivered(history)  # the task was cleared between these two
        history.epoch = entry.epoch
        history.results.update(entry.results)
        history.open = dict(entry.open)
        last = entry
    if last and last.max_tries != task_try.max_tries:
        history.was_cleared = True
        if last.is_complete:
            _begin_anew(history)
            history.epoch = max(task_try.first_number, last.epoch + 1)
        else:
            _keep_delivered(history)
    history.claimed |= _message_ids(history.results.values())
    return history


def read_entry(stored: Any) -> Entry | None:
    """
    Understand an entry, or say None.

    :param stored: a value of the store; anything may have happened to it.
    """
    try:
        if stored["version"] != VERSION:
            return None
        entry = Entry(
            max_tries=stored["max_tries"],
            epoch=stored["epoch"],
            results={
                str(key): Result(str(addressee), _read_outcome(*outcome))
                for key, addressee, *outcome in stored["results"]
            },
            open={
                str(key): Announced(str(addressee), read_intent(intent))
                for key, addressee, intent in stored["open"]
            },
            is_complete=stored["complete"] is True,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return entry if isinstance(entry.max_tries, int) and isinstance(entry.epoch, int) else None


class Strays:
    """
    What earlier tries did for rows that are not among the present ones.

    If upstream gives a person's row with another content, that person has had the mail all the same. Safe to
    use from several threads.

    :param history: what earlier tries have left.
    :param present: the keys of the present rows.
    """

    def __init__(self, history: History, present: Collection[str]) -> None:
        self._lock = threading.Lock()
        self._keys: defaultdict[str, deque[str]] = defaultdict(deque)
        present = set(present)
        for traces in (history.results, history.open):
            for key, trace in traces.items():
                if key not in present:
                    self._keys[trace.addressee].append(key)

    def take(self, message: Message) -> str | None:
        """Return the key of a row that was for the same person, once."""
        if not self._keys:
            return None
        with self._lock:
            keys = self._keys.get(addressee_of(message))
            return keys.popleft() if keys else None


def addressee_of(message: Message) -> str:
    """
    Digest whom a mail is for: the record and the addresses, in no particular order or case.

    It is salted with the record only: it has to be the same in all tries.
    """
    mail = message.mail
    emails = sorted({address.email.casefold() for address in (*mail.to, *mail.cc, *mail.bcc)})
    text = "\n".join((*message.record, *emails))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _begin_anew(history: History) -> None:
    """Forget the results of before the task was cleared, but remember their mails."""
    history.claimed |= _message_ids(history.results.values())
    history.results = {}


def _keep_delivered(history: History) -> None:
    """Forget refusals: whoever clears a failed task has cured their cause."""
    history.results = {key: result for key, result in history.results.items() if result.outcome.is_delivered}


def _stored_entries(store: TaskStateStore | None) -> Iterable[Any]:
    number = 0
    while store is not None and (stored := store.get(f"{KEY_PREFIX}.{number}")) is not None:
        yield stored
        number += 1


def _message_ids(results: Iterable[Result]) -> set[str]:
    return {result.outcome.message_id for result in results if result.outcome.message_id}


def _outcome_as_list(outcome: Outcome) -> list[str | None]:
    status = "sent" if outcome.is_delivered else "failed"
    return [status, outcome.record_id, outcome.message_id, outcome.error, outcome.detail]


def _read_outcome(status: str, *texts: str | None) -> Outcome:
    record_id, message_id, error, detail = texts
    if status == "sent" and isinstance(message_id, str):
        return Outcome("already_sent", record_id, message_id)
    if status == "failed":
        return Outcome("failed", record_id, error=error, detail=detail)
    raise ValueError(f"no outcome: {status!r}")
