"""
The journal of a task's mails: what earlier tries left, and what this one writes.

One write closes a block of mails and opens the next.
"""

from __future__ import annotations

import json
import logging
import math
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from tenacity import Retrying, retry_if_exception, wait_random_exponential

from airflow_provider_bigin.api.clock import Clock
from airflow_provider_bigin.api.errors import BiginJournalError, BiginStaleAttemptError
from airflow_provider_bigin.delivery.attempt import TaskAttempt
from airflow_provider_bigin.delivery.identity import Item, Kept, Name, was_cleared
from airflow_provider_bigin.delivery.state import (
    VERSION,
    Answer,
    Head,
    Intent,
    Result,
    Segment,
    Window,
    as_json,
    read_head,
    read_segment,
)

log = logging.getLogger(__name__)

#: Maximum number of results in a head, and its size in bytes: Airflow warns about values over 64 KB.
MAX_RESULTS = 200
MAX_HEAD_SIZE = 60_000
#: Seconds during which a write is retried.
WRITE_PATIENCE = 30.0
#: Maximum number of seconds between Airflow's word that a try is wanted and acting on it.
MAX_WORD_AGE = 1.0
#: Maximum number of seconds between an intent and its POST.
LEASE = 15.0


@dataclass
class Go:
    """
    What a person asked for once, and its progress: every try continues one or begins one.

    :param id: random identity.
    :param salt: salt of its digests.
    :param asked: number of the first try since a person asked.
    :param waiting_since: when a try first waited for a limit since then, in epoch seconds.
    :param is_new: whether this try begins it.
    :param is_damaged: whether an earlier head was lost, so mails without an entry are unknown.
    :param is_whole: whether all its segments were read.
    :param first: number of its first segment; those before it belong to earlier goes.
    :param count: number of segments.
    :param open: the intents without a result.
    :param results: results that are not in a segment yet.
    :param archive: results of the previous go, to be moved to a segment.
    :param words: the last word on each mail with a result.
    :param answers: what a person said about mails in doubt.
    :param owners: who may have written the head without having replaced this try.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(16))
    salt: str = field(default_factory=lambda: secrets.token_hex(8))
    asked: int = 1
    waiting_since: float | None = None
    is_new: bool = True
    is_complete: bool = False
    is_damaged: bool = False
    is_whole: bool = True
    first: int = 0
    count: int = 0
    open: dict[Name, Intent] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    archive: list[Result] = field(default_factory=list)
    words: dict[Name, Result] = field(default_factory=dict)
    answers: dict[Name, Answer] = field(default_factory=dict)
    owners: frozenset[str] = frozenset()

    @property
    def is_known(self) -> bool:
        """Whether what is not stored was certainly not begun."""
        return self.is_whole and not self.is_damaged

    def stored(self) -> dict[Item, Kept]:
        """Return all entries; an intent outweighs an older refusal."""
        entries: dict[Item, Kept] = {word.item: word.status for word in self.words.values()}
        entries.update({intent.item: "open" for intent in self.open.values()})
        return entries


# ---- what earlier tries left ----


@contextmanager
def _reading() -> Iterator[None]:
    """Keep a failed read from being taken for "nothing is there"."""
    try:
        yield
    except Exception as error:
        raise BiginJournalError(
            f"the state of the mails could not be read from Airflow ({_name(error)}), so nothing is sent"
        ) from error


@_reading()
def recall(attempt: TaskAttempt) -> Go:
    """
    Read what earlier tries left, and determine which go this try belongs to.

    :raises BiginJournalError: if it cannot be read.
    """
    store = attempt.store
    if not store.keeps:
        return _unkept_go(attempt)
    stored = store.read("head")
    head = read_head(stored)
    if head is None:
        return _go_without_head(attempt, is_damaged=stored is not None)
    is_of_another_run = store.is_shared and _is_of_another_run(head, attempt)
    is_cleared = was_cleared(
        max_tries=attempt.max_tries,
        clear_number=attempt.clear_number,
        retries=attempt.retries,
        stored_max_tries=head.max_tries,
        stored_clear_number=head.clear_number,
        stored_try=head.attempt,
    )
    owners = frozenset({head.owner})
    if is_of_another_run or (head.complete and is_cleared):
        return Go(
            asked=attempt.number,
            first=head.segments[1],
            count=head.segments[1],
            archive=list(head.results),
            owners=owners,
        )
    go = Go(
        id=head.go,
        salt=head.salt,
        asked=attempt.number if is_cleared else head.asked,
        waiting_since=None if is_cleared else head.waiting_since,
        is_new=False,
        is_complete=head.complete,
        is_damaged=head.damaged,
        first=head.segments[0],
        count=head.segments[1],
        open={intent.item.name: intent for intent in head.open},
        results=list(head.results),
        answers={(answer.row, answer.number): answer for answer in head.answers},
        owners=owners,
    )
    results: list[Result] = []
    for number in range(*head.segments):
        segment = read_segment(store.read(f"segment.{number}"))
        if segment is None or segment.go != head.go:
            go.is_whole = False
        else:
            results += segment.results
    words = {result.item.name: result for result in (*results, *head.results)}  # the later word counts
    go.words = {
        name: word
        for name, word in words.items()
        # Where words are missing, a refusal may not be the last one.
        if name not in go.open and (go.is_known or word.status == "done")
    }
    return go


@_reading()
def read_claims(attempt: TaskAttempt, go: Go) -> tuple[set[str], bool]:
    """
    Read which mails are known to be other sends, of this go and all before it.

    :return: their ids, and whether the set is complete.
    """
    if not attempt.store.keeps:
        return set(), True
    results = [*go.words.values(), *go.archive]
    is_whole = go.is_known
    for number in range(go.first if not go.is_damaged else 0):
        segment = read_segment(attempt.store.read(f"segment.{number}"))
        if segment is None:
            is_whole = False
        else:
            results += segment.results
    # A mail that a person says was sent has no id.
    is_whole = is_whole and all(result.message_id for result in results if result.status == "done")
    return {result.message_id for result in results if result.message_id}, is_whole


def _unkept_go(attempt: TaskAttempt) -> Go:
    """Begin a go of which nothing is kept: its markers are made from the try, its salt from the task."""
    is_first = attempt.number == 1 and not attempt.is_again
    return Go(
        id="",
        salt="",
        asked=1 if is_first else attempt.first_number,
        waiting_since=attempt.began() if attempt.is_again else None,
        is_damaged=not is_first,
    )


def _go_without_head(attempt: TaskAttempt, *, is_damaged: bool) -> Go:
    """
    Begin a go where no head can be read.

    In a shared store, this may also mean that the task succeeded and its state was deleted; then only the
    first try since a clear begins anew, and only when it runs for the first time.
    """
    store = attempt.store
    count = 0
    if is_damaged or store.is_shared or attempt.number > 1 or attempt.is_again:
        while store.read(f"segment.{count}") is not None:
            count += 1
    is_first = attempt.number in (1, attempt.first_number) and not attempt.is_again
    is_unknown = store.is_shared and not is_first
    if is_damaged or count or is_unknown:
        asked = attempt.first_number if store.is_shared else attempt.number
        return Go(asked=asked, is_damaged=True, first=count, count=count)
    return Go(asked=attempt.number)


def _is_of_another_run(head: Head, attempt: TaskAttempt) -> bool:
    """Return whether a head was left by a run that was deleted and then created again with the same id."""
    return (
        head.run != attempt.run
        or attempt.number < head.attempt
        or attempt.clear_number < head.clear_number
        or (attempt.number == head.attempt and not attempt.is_again and attempt.run_start != head.run_start)
    )


# ---- writing ----


class Journal:
    """
    Write the journal of one try. Safe to use from several threads.

    :param attempt: the running try, whose store keeps it.
    :param go: what :func:`recall` returned.
    :param clock: measures durations and waits.
    :param new_window: returns the window of an intent that is written now.
    """

    def __init__(self, attempt: TaskAttempt, go: Go, clock: Clock, new_window: Callable[[], Window]) -> None:
        self._attempt = attempt
        self._go = go
        self._clock = clock
        self._new_window = new_window
        self._owner = secrets.token_hex(8)
        self._owners = go.owners | {self._owner}
        self._lock = threading.RLock()
        self._closed_by: Exception | None = None
        self._leased: dict[Name, float] = {}  # when the intents were written
        self._waiting: set[Name] = set()  # those of them that are not in flight
        self._earlier: dict[Name, Name] = {}
        self._spent: dict[Name, tuple[Intent | None, Answer]] = {}
        self._asked_at = -math.inf
        self._has_head = not go.is_new or bool(go.owners)
        self.is_dirty = False

    def record_intents(self, intents: Mapping[Name, Intent]) -> None:
        """
        Store what is about to be posted, and all results since the last write.

        :param intents: intents by name; their windows are set here.
        :raises BiginJournalError: if that is not confirmed; none of them may be posted.
        :raises BiginStaleAttemptError: if this try was replaced.
        """
        with self._lock:
            for name in intents:
                self._spend_answer(name)
            self._go.open.update(intents)
            self._lease(intents)
            try:
                self._write_head()
            except Exception:
                for name in intents:
                    self.discard_intent(name)
                raise

    def ensure_postable(self, name: Name) -> None:
        """
        Make sure that a mail may be posted now: its intent is recent, and Airflow wants this try.

        :raises BiginJournalError: if the journal is closed, or Airflow is too slow.
        :raises BiginStaleAttemptError: if this try was replaced.
        """
        with self._lock:
            self._waiting.add(name)
            for _ in range(4):
                if self._closed_by:
                    raise self._closed_by
                now = self._clock.monotonic()
                if now - self._leased[name] > LEASE:
                    self._lease(self._waiting)
                    self._write_head()
                elif now - self._asked_at > MAX_WORD_AGE:
                    self._ask_airflow()
                else:
                    self._waiting.discard(name)
                    return
            raise BiginJournalError(
                "Airflow takes too long to store what is about to be sent, so it is not sent now"
            )

    def record_outcome(self, result: Result) -> None:
        """Record what finally happened to a mail: it was delivered, or Bigin refused it."""
        with self._lock:
            name = result.item.name
            self._spent.pop(name, None)
            self._go.answers.pop(name, None)
            self.discard_intent(name)
            self._go.results.append(result)

    def discard_intent(self, name: Name) -> None:
        """Record that a mail was certainly not posted, and that a later try may post it."""
        with self._lock:
            self.is_dirty = True
            self._waiting.discard(name)
            self._go.open.pop(name, None)
            if name in self._spent:
                self._give_answer_back(*self._spent.pop(name))

    def record_answer(self, name: Name, word: Literal["send", "leave"]) -> None:
        """Record what a person said about a mail in doubt."""
        with self._lock:
            self.is_dirty = True
            self._go.answers[name] = Answer(*name, word, self._attempt.number)

    def replace(self, earlier: Name, name: Name) -> None:
        """Let the next intent of a mail replace an earlier one, and use up what was said about that."""
        self._earlier[name] = earlier

    def close(self, error: Exception) -> None:
        """Keep all threads from posting any more."""
        with self._lock:
            self._closed_by = self._closed_by or error

    def save(self) -> None:
        """Write the results since the last write. If that fails, the next try looks for the mails."""
        with self._lock:
            # A head that says that all is done must not outlive a try that ends otherwise.
            if not self.is_dirty and not self._go.is_complete:
                return
            try:
                self._write_head()
            except Exception as error:
                log.warning("The state of the mails could not be written (%s).", _name(error))

    def save_for_wait(self) -> None:
        """
        Write what is known, changed or not, before a try ends that will run again under the same number.

        :raises BiginJournalError: if that is not confirmed.
        :raises BiginStaleAttemptError: if this try was replaced.
        """
        with self._lock:
            self._write_head()

    def complete(self) -> None:
        """
        Write, as the last act of a try that is about to succeed, that all is done.

        :raises BiginStaleAttemptError: if Airflow no longer wants this try.
        """
        with self._lock:
            if self._go.is_complete and not self.is_dirty:
                return
            if self._attempt.is_inner:  # nobody knows yet whether the task around it will succeed
                self.save()
                return
            self._ask_airflow()
            try:
                if self._attempt.store.is_shared:
                    self._forget()
                else:
                    self._write_head(is_complete=True)
            except BiginStaleAttemptError:
                raise
            except Exception as error:
                log.warning(
                    "All mails are sent, but that could not be stored (%s). If this task is cleared, it will"
                    " find them already sent; clear it once more to send them again.",
                    _name(error),
                )

    def begin(self) -> None:
        """Store at once that a go begins, if the absence of a head may mean that one was complete."""
        if self._go.is_new and self._attempt.store.is_shared:
            with self._lock:
                self._write_head()

    def _spend_answer(self, name: Name) -> None:
        """Use up an answer: what comes of the next intent is a new doubt, not yet answered."""
        earlier = self._earlier.get(name, name)
        if answer := self._go.answers.pop(earlier, None):
            self._spent[name] = self._go.open.pop(earlier, None), answer

    def _give_answer_back(self, intent: Intent | None, answer: Answer) -> None:
        self._go.answers[answer.row, answer.number] = answer
        if intent:
            self._go.open[intent.item.name] = intent

    def _lease(self, names: Iterable[Name]) -> None:
        """Start the lease of intents now."""
        began, window = self._clock.monotonic(), self._new_window()
        for name in [*names]:
            self._go.open[name] = self._go.open[name]._replace(window=window)
            self._leased[name] = began
            self._waiting.add(name)

    def _write_head(self, *, is_complete: bool = False) -> None:
        go = self._go
        if go.archive:
            self._write_segment(Segment(VERSION, "", tuple(go.archive)))
            go.first, go.archive = go.count, []
        head = as_json(self._head(is_complete=is_complete))
        if go.results and (len(go.results) > MAX_RESULTS or len(json.dumps(head)) > MAX_HEAD_SIZE):
            self._write_segment(Segment(VERSION, go.id, tuple(go.results)))
            go.results.clear()
            head = as_json(self._head(is_complete=is_complete))
        self._put("head", head)
        self._has_head, self.is_dirty = True, False

    def _write_segment(self, segment: Segment) -> None:
        self._put(f"segment.{self._go.count}", as_json(segment))
        self._go.count += 1

    def _head(self, *, is_complete: bool) -> Head:
        go, attempt = self._go, self._attempt
        return Head(
            version=VERSION,
            go=go.id,
            salt=go.salt,
            max_tries=attempt.max_tries,
            clear_number=attempt.clear_number,
            attempt=attempt.number,
            asked=go.asked,
            waiting_since=go.waiting_since,
            complete=is_complete,
            damaged=go.is_damaged,
            segments=(go.first, go.count),
            open=tuple(go.open.values()),
            results=tuple(go.results),
            answers=tuple(go.answers.values()),
            owner=self._owner,
            run=attempt.run,
            run_start=attempt.run_start,
        )

    def _forget(self) -> None:
        """
        Delete everything, including segments that no head counts.

        The head comes last, so that a half-deleted state reads as a go with gaps.
        """
        number, read = 0, self._attempt.store.read
        while number < self._go.count or self._persist(read, f"segment.{number}") is not None:
            self._put(f"segment.{number}", None)
            number += 1
        if self._has_head:
            self._put("head", None)

    def _put(self, name: str, value: dict[str, Any] | None) -> None:
        """Write a value, or delete it if it is None."""
        self._persist(self._put_once, name, value)

    def _persist(
        self,
        operation: Callable[..., Any],
        *arguments: Any,
        failure: str = "the state of the mails could not be written to Airflow",
    ) -> Any:
        """Retry an operation for some time; if it is not confirmed, close the journal."""
        began = self._clock.monotonic()
        retrying = Retrying(
            retry=retry_if_exception(self._may_pass),
            stop=lambda state: self._clock.monotonic() - began >= WRITE_PATIENCE,
            wait=wait_random_exponential(max=5),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            return retrying(operation, *arguments)
        except BiginStaleAttemptError as error:
            self.close(error)
            raise
        except Exception as error:
            failed = BiginJournalError(f"{failure} ({_name(error)}), so nothing is sent")
            self.close(failed)
            raise failed from error

    def _put_once(self, name: str, value: dict[str, Any] | None) -> None:
        store = self._attempt.store
        if store.is_shared:
            self._ensure_owner(is_deletion=value is None)
        if value is None:
            store.delete(name)
        else:
            store.write(name, value)

    def _ensure_owner(self, *, is_deletion: bool) -> None:
        """Refuse the writes of a try that was replaced, as the state store of Airflow 3.3 does."""
        head = read_head(self._attempt.store.read("head"))
        if head and head.owner not in self._owners and head.attempt >= self._attempt.number:
            raise BiginStaleAttemptError("another try of this task has started, so this one sends nothing")
        is_asked = self._clock.monotonic() - self._asked_at <= MAX_WORD_AGE
        if (is_deletion or head is None) and not is_asked:
            self._ask_once()

    def _ask_airflow(self) -> None:
        """Make sure that Airflow wants this try; if it does not say so, close the journal."""
        self._persist(self._ask_once, failure="Airflow does not say whether it still wants this try")

    def _ask_once(self) -> None:
        began = self._clock.monotonic()
        self._attempt.ensure_wanted()
        now = self._clock.monotonic()
        if now - began > LEASE:  # it may have waited for this process to wake up
            raise TimeoutError("Airflow's answer is too old")
        self._asked_at = now

    def _may_pass(self, error: BaseException) -> bool:
        """Return whether a write may be repeated; never repeat it if this try was replaced."""
        if not isinstance(error, Exception) or isinstance(error, BiginStaleAttemptError):
            return False
        try:
            self._ask_once()
        except BiginStaleAttemptError:
            raise
        except Exception as unanswered:
            log.debug("Airflow does not respond (%s).", type(unanswered).__name__)
        return True


def _name(error: BaseException) -> str:
    """Name an error without its text, which may quote what was being written."""
    return type(error.__cause__ or error).__name__
