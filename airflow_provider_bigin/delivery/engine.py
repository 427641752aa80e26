"""
The delivery engine: recall what earlier tries left, send the rest, settle what was lost. The only loop.

A single mail is a batch of one; it goes through the same steps, without threads.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cached_property, partial
from itertools import islice
from types import TracebackType
from typing import Literal, NamedTuple, TypeVar

from airflow_provider_bigin.api.client import OPT_OUT_FIELD, BiginClient, SentMail
from airflow_provider_bigin.api.errors import (
    BiginConnectionError,
    BiginError,
    BiginInvalidRequestError,
    BiginJournalError,
    BiginNotFoundError,
    BiginOptedOutError,
    BiginOutcomePendingError,
    BiginOutcomeUnknownError,
    BiginPermissionError,
    BiginRecordLockedError,
    BiginStaleAttemptError,
    BiginValidationError,
)
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.attempt import TaskAttempt
from airflow_provider_bigin.delivery.doubts import Reply, doubt_of
from airflow_provider_bigin.delivery.identity import (
    Digests,
    Item,
    Marker,
    Name,
    match_rows,
    send_half,
    task_half,
    with_marker,
)
from airflow_provider_bigin.delivery.journal import LEASE, Journal, read_claims, recall
from airflow_provider_bigin.delivery.limiter import ConcurrencyLimiter
from airflow_provider_bigin.delivery.limits import lasts
from airflow_provider_bigin.delivery.lookup import (
    CLOCK_SKEW,
    Absent,
    Found,
    InDoubt,
    Scene,
    Suspect,
    Unreadable,
    Verdict,
    new_window,
    settle,
    suspect_of,
    unread,
)
from airflow_provider_bigin.delivery.message import Batch, Draft, Message, post_renewed
from airflow_provider_bigin.delivery.outcome import Outcome
from airflow_provider_bigin.delivery.policy import Decision, OnUnknownOutcome, Word, decide
from airflow_provider_bigin.delivery.state import Intent, Result, Window, text

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

#: Maximum number of mails announced with one write, and of their recipients, at 20 bytes each.
BLOCK_SIZE = 40
BLOCK_RECIPIENTS = 1000
#: How many responses may get lost before the run looks for the mails, and how many mails may not be found
#: before it ends. If there are more, Bigin or the network is out of order.
MAX_LOST = 20
#: Maximum number of mails with an unknown past that are looked for.
MAX_LOOKUPS = 100
#: Characters of an exception that are reported.
MAX_REASON_LENGTH = 200

#: Errors that concern a single mail and say nothing about the next one.
CONCERNS_ONE_MAIL = (
    BiginInvalidRequestError,
    BiginNotFoundError,
    BiginPermissionError,
    BiginRecordLockedError,
)


class UncertainMail(NamedTuple):
    """
    A mail that may already have been sent.

    :param position: position of its row.
    :param names: mails to look for: itself, or others to the same people, which its row may be an edit of.
    :param is_edit: whether those are the others.
    """

    position: int
    names: list[Name]
    is_edit: bool = False


class Look(NamedTuple):
    """What was looked for, and the verdict."""

    suspect: Suspect
    verdict: Verdict


class Ready(NamedTuple):
    """A mail that is about to be posted."""

    position: int
    message: Message
    intent: Intent


class Delivery:
    """
    Deliver the mails of one task, each once across all tries of the task.

    This is a context manager: when an error leaves it, no thread posts any more, and what is known is stored.

    :param batch: the mails.
    :param client: sends and reads.
    :param attempt: the running try.
    :param limiter: limiter that the calls go through.
    :param max_concurrency: how many mails to send at a time.
    :param on_unknown_outcome: see :func:`~airflow_provider_bigin.delivery.policy.decide`.
    :param reply: reply to the question with which this try waited for a person.
    :param mark_text: put the marker into ``text`` mails, too, where readers see it.
    :param on_outcome: called with each outcome as it comes, from several threads.
    """

    def __init__(
        self,
        batch: Batch,
        client: BiginClient,
        attempt: TaskAttempt,
        *,
        limiter: ConcurrencyLimiter,
        max_concurrency: int = 1,
        on_unknown_outcome: OnUnknownOutcome,
        reply: Reply | None = None,
        mark_text: bool = False,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    ) -> None:
        self._batch = batch
        self._client = client
        self._attempt = attempt
        self._limiter = limiter
        self._max_concurrency = max_concurrency
        self._policy = on_unknown_outcome
        self._reply = reply
        self._mark_text = mark_text
        self._on_outcome = on_outcome
        self._preparers, self._senders = (
            ThreadPoolExecutor(max_concurrency, name) if len(batch) > 1 else None
            for name in ("prepare", "send")
        )
        self._go = recall(attempt)
        self._digests = Digests(self._go.salt)
        self._journal = Journal(attempt, self._go, client.clock, self._new_window)
        self._claims: set[str] = set()
        self._items: list[Item] = []
        self._outcomes: list[Outcome | None] = [None] * len(batch)
        self._lost: list[tuple[Ready, BiginOutcomeUnknownError]] = []
        self._number_unfound = 0
        self._ended_by: BiginError | None = None
        #: What to ask a person about, once nothing else is left to do.
        self.doubts: list[str] = []
        #: The lasting limit that keeps the rest from being sent, if any.
        self.limit: BiginError | None = None

    def __enter__(self) -> Delivery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter.close(error or CancelledError())
        self._journal.close(error if isinstance(error, Exception) else CancelledError())
        for pool in (self._preparers, self._senders):
            # Do not wait for requests in flight: the worker may have been told to stop.
            if pool:
                pool.shutdown(wait=False, cancel_futures=True)
        is_refused = isinstance(error, (BiginStaleAttemptError, BiginJournalError))
        if isinstance(error, Exception) and not is_refused:  # what was refused once is not tried again
            self._journal.save()

    def deliver(self) -> list[Outcome]:
        """
        Send the mails that are not sent yet.

        :return: the outcome of each mail, in their order.
        :raises BiginStaleAttemptError: if Airflow has given up on this try.
        :raises BiginJournalError: if the state could not be written.
        """
        self._journal.begin()
        waiting = iter(self._recall())
        is_exhausted = False
        while not is_exhausted and not self._ended_by:
            is_exhausted = self._send_some(waiting)
            self._look_for_lost()
        for position in waiting:
            self._skip(position)
        return [outcome for outcome in self._outcomes if outcome]

    @property
    def is_last_try(self) -> bool:
        """Whether Airflow has no retry left."""
        return self._attempt.is_last

    @property
    def may_run_again(self) -> bool:
        """
        Whether this try may run once more under the same number.

        Where nothing is kept, only a first try that has sent nothing may; an operator inside another task
        never may, since all of that task would run again.
        """
        is_untouched = self._attempt.number == 1 and not (self._go.open or self._has_delivered())
        return not self._attempt.is_inner and (self._attempt.store.keeps or is_untouched)

    def wait(self, until: float, limit_wait: float) -> bool:
        """
        Store, as the last act of this try, that it waits and runs again, unless that takes too long.

        :param until: end of the wait, in epoch seconds.
        :param limit_wait: seconds that all waits may take, from the start of the first.
        :return: whether it may wait.
        :raises BiginJournalError: if that could not be stored.
        """
        since = self._go.waiting_since or self._client.clock.time()
        if until - since > limit_wait:
            return False
        self._go.waiting_since = since
        self._journal.save_for_wait()
        return True

    def complete(self) -> None:
        """
        Store, once the results are handed over, that the task is about to succeed.

        If nothing is left to do, a later clear sends all mails again; otherwise it sends what is left.

        :raises BiginStaleAttemptError: if Airflow has given up on this try.
        """
        if self._are_all_settled():
            self._journal.complete()
        else:
            self._journal.save()

    def keep(self) -> None:
        """
        Store everything before the task waits.

        :raises BiginJournalError: if that is not confirmed; then the task must not wait.
        :raises BiginStaleAttemptError: if this try was replaced.
        """
        self._journal.save_for_wait()

    def _are_all_settled(self) -> bool:
        return all(outcome and outcome.is_settled for outcome in self._outcomes)

    def _has_delivered(self) -> bool:
        return any(outcome and outcome.is_delivered for outcome in self._outcomes)

    def _way_to_send_again(self) -> str:
        return "start a new run" if self._attempt.is_inner else "clear the task once more"

    # ---- what earlier tries left ----

    def _recall(self) -> list[int]:
        """Decide by what earlier tries left; return the positions of the mails to send."""
        go = self._go
        rows = [self._digests.row(self._batch.row(position)) for position in range(len(self._batch))]
        matched = match_rows(rows, go.stored(), self._describe)
        self._items = matched.items
        todo: list[int] = []
        uncertain: list[UncertainMail] = []
        for position, item in enumerate(self._items):
            name = matched.entries.get(position)
            if name in go.words:
                todo += [position] * self._may_be_sent_again(position, go.words[name])
            elif name:
                uncertain.append(UncertainMail(position, [name]))
            elif item.who in matched.left:
                uncertain.append(UncertainMail(position, matched.left[item.who], is_edit=True))
            elif go.is_known:
                todo.append(position)
            else:
                uncertain.append(UncertainMail(position, [item.name]))
        looks = self._look_for_earlier(uncertain)
        todo += [mail.position for mail in uncertain if self._may_be_sent(mail, looks)]
        is_first_again = go.asked == self._attempt.number and not self._attempt.is_again
        is_asked_again = not go.is_new and (go.is_complete or is_first_again)
        if is_asked_again and self._are_all_settled():
            log.info("Everything was already sent. To send it again, %s.", self._way_to_send_again())
        return sorted(todo)

    def _describe(self, position: int) -> tuple[str, str] | None:
        """Digest a mail and whom it is for; return None if it cannot be built."""
        try:
            draft = self._batch.draft(position)
        except Exception:
            return None  # sending it says why
        return self._digests.mail(draft), self._digests.who(draft)

    def _may_be_sent_again(self, position: int, word: Result) -> bool:
        """Return whether to send a mail that has a result; if not, record its outcome."""
        decision = decide(word.status, policy=self._policy, asked_since=word.attempt < self._go.asked)
        if decision == "done":
            self._finish(position, Outcome("already_sent", word.record, word.message_id))
        elif decision == "report":
            self._finish(position, Outcome.of_failure(word.record, _stored_refusal(word)))
        return decision == "send"

    def _may_be_sent(self, mail: UncertainMail, looks: Mapping[Name, Look]) -> bool:
        """Return whether to send a mail that may have been sent before; if not, record its outcome."""
        position, names, is_edit = mail
        if self._outcomes[position]:
            return False
        seen = [looks[name] for name in names if name in looks]
        if is_edit:
            verdict = _verdict_on_edit(seen, are_all_open=len(seen) == len(names))
        else:
            verdict = (
                seen[0].verdict if seen else InDoubt("nothing stored shows which mails earlier tries sent")
            )
        intents = [self._go.open[name] for name in names if name in self._go.open]
        record = seen[0].suspect.record if seen else self._batch.record(position)
        if isinstance(verdict, Found):
            log.info("%s Not sending it again.", verdict)
            self._finish(position, Outcome("already_sent", record, verdict.message_id))
            return False
        last_attempt = self._attempt.number if is_edit else self._attempt.number - 1
        is_scheduled = any(look.suspect.scheduled for look in seen)
        item = self._items[position]
        name = item.name if is_edit else names[0]
        said = self._said_of(name)
        decision = decide(
            "open",
            verdict.evidence,
            policy=self._policy,
            asked_since=max((intent.attempt for intent in intents), default=last_attempt) < self._go.asked,
            is_scheduled=is_scheduled,
            said=said,
        )
        if decision == "send":
            log.info("%s Sending it.", verdict)
            for intent in intents:
                if said and not is_edit:
                    self._journal.replace(name, item.name)
                else:
                    self._journal.discard_intent(intent.item.name)
        elif decision == "done":
            log.info("%s A person says that it was sent.", verdict)
            self._record(self._go.open[name].item if name in self._go.open else item, record, "done")
            self._finish(position, Outcome("already_sent", record))
        else:
            self._note_doubt(decision, name)
            hint = _hint_on_question(decision, said, self._reply)
            self._finish(position, _unknown(record, verdict, decision, is_scheduled=is_scheduled, hint=hint))
        return decision == "send"

    def _said_of(self, name: Name) -> Word | None:
        """Return what a person said about a mail in doubt, in this try or before, and keep it."""
        reply, go = self._reply, self._go
        if reply and reply.word and doubt_of(go.id, name, go.open.get(name)) in reply.doubts:
            if reply.word != "sent":
                self._journal.record_answer(name, reply.word)
            return reply.word
        answer = go.answers.get(name)
        return answer.word if answer and (answer.word == "send" or answer.attempt >= go.asked) else None

    def _note_doubt(self, decision: Decision, name: Name) -> None:
        """Note what to ask a person about."""
        if decision == "ask":
            self.doubts.append(doubt_of(self._go.id, name, self._go.open.get(name)))

    def _look_for_earlier(self, uncertain: Iterable[UncertainMail]) -> dict[Name, Look]:
        """Look for mails that earlier tries may have sent; those that are found are done."""
        suspects: dict[Name, Suspect] = {}
        unknown: dict[Name, int] = {}
        for position, names, _ in uncertain:
            for name in names:
                if name in self._go.open:
                    suspects[name] = self._suspect(self._go.open[name])
                elif name not in self._go.words:
                    unknown[name] = position
        if len(unknown) <= MAX_LOOKUPS:
            for name, position in unknown.items():
                if suspect := self._presumed(position):
                    suspects[name] = suspect
        if not suspects:
            return {}
        log.info("Earlier tries may have sent %d mails; looking for them.", len(suspects))
        verdicts = self._settle(suspects)
        for name, verdict in verdicts.items():
            if isinstance(verdict, Found):
                item = self._go.open[name].item if name in self._go.open else self._items[unknown[name]]
                self._record_found(item, suspects[name].record, verdict)
        return {name: Look(suspects[name], verdict) for name, verdict in verdicts.items()}

    def _presumed(self, position: int) -> Suspect | None:
        """Presume what an earlier try would have sent; if it cannot be built, that is its outcome."""
        try:
            draft = self._batch.draft(position)
            record = self._batch.locate(draft.record)
            self._items[position] = self._described(position, draft)
        except Exception as error:
            failure = as_failure(error)
            self._note_limit(failure)
            self._finish(position, Outcome("failed", self._batch.record(position), error=failure))
            return None
        since, (_, until) = self._attempt.run_start, self._new_window()
        window = (since - CLOCK_SKEW if since else 0.0, until)
        markers, old_markers = self._markers(self._items[position].name)
        return suspect_of(self._client.outgoing(draft.mail), record, window, self._digests)._replace(
            markers=markers,
            old_markers=old_markers,
            is_marked=draft.mail.mail_format == "html" or self._mark_text,
            has_intent=False,
        )

    # ---- sending ----

    def _send_some(self, waiting: Iterator[int]) -> bool:
        """Send until the run ends or too many responses got lost; return whether all were tried."""
        under_way: set[Future[None]] = set()
        is_exhausted = False
        while not self._ended_by and not is_exhausted and len(self._lost) < MAX_LOST:
            positions = list(islice(waiting, BLOCK_SIZE))
            is_exhausted = len(positions) < BLOCK_SIZE
            prepared = [ready for ready in self._map(self._prepare, positions) if ready]
            for block in _blocks(prepared):
                # Announced while the last mails of the previous block are in flight, so nothing has to wait.
                under_way = _wait_for(under_way, down_to=self._max_concurrency)
                self._journal.record_intents({ready.intent.item.name: ready.intent for ready in block})
                under_way |= {future for ready in block if (future := self._start(ready))}
        _wait_for(under_way, down_to=0)
        return is_exhausted

    def _prepare(self, position: int) -> Ready | None:
        """Build a mail; if it cannot be built, that is its outcome."""
        if self._ended_by:
            self._skip(position)
            return None
        record = self._batch.record(position)
        try:
            draft = self._batch.draft(position)
            message = self._batch.complete(draft)
            self._client.server_time()  # gets a token and the time, which the next steps rely on
            record = message.record
            item = self._described(position, draft)
        except Exception as error:
            if isinstance(error, BiginError):
                self._end_if_general(error)
            self._finish(position, Outcome("failed", record, error=as_failure(error)))
            return None
        marker = self._marker(item.name)
        mail = with_marker(message.mail, marker, in_text=self._mark_text)
        intent = self._intent(item, message, is_marked=mail is not message.mail)
        return Ready(position, replace(message, mail=mail), intent)

    def _described(self, position: int, draft: Draft) -> Item:
        """Return the item of a mail with the digests by which a later try recognizes an edit of it."""
        return self._items[position]._replace(mail=self._digests.mail(draft), who=self._digests.who(draft))

    def _intent(self, item: Item, message: Message, *, is_marked: bool) -> Intent:
        mail = self._client.outgoing(message.mail)
        look = suspect_of(mail, message.record, (0.0, 0.0), self._digests)
        told = (look.subject, look.people, look.content, look.scheduled, look.window)
        return Intent(item, self._attempt.number, message.record, is_marked, *told)

    def _start(self, ready: Ready) -> Future[None] | None:
        if self._senders:
            return self._senders.submit(self._send, ready)
        self._send(ready)
        return None

    def _send(self, ready: Ready) -> None:
        """Send one announced mail. An error that does not concern this mail is raised and ends the run."""
        name, record = ready.intent.item.name, ready.message.record
        if self._ended_by:
            self._journal.discard_intent(name)
            self._skip(ready.position)
            return
        try:
            sent = post_renewed(partial(self._post, name), ready.message, self._renewed)
        except BiginOutcomeUnknownError as error:
            self._lost.append((ready, error))
            return
        except (BiginStaleAttemptError, BiginJournalError) as error:
            self._journal.discard_intent(name)
            self._limiter.close(error)
            raise
        except BiginError as error:
            outcome = Outcome.of_failure(record, error)
            self._end_if_general(error)
            is_answer = error.request is not None  # else a file cannot be read to upload it again
            if is_answer and isinstance(error, CONCERNS_ONE_MAIL) and not error.retryable:
                self._record(ready.intent.item, record, "refused", error=outcome.code, detail=_place(error))
            else:
                self._journal.discard_intent(name)
        except BaseException as error:
            self._limiter.close(error)
            raise
        else:
            self._claims.add(sent.message_id)
            outcome = Outcome("sent", record, sent.message_id, blocked=tuple(who for who, _ in sent.blocked))
            detail = f"{len(sent.blocked)} blocked" if sent.blocked else None
            self._record(ready.intent.item, record, "done", message_id=sent.message_id, detail=detail)
            if len(self._batch) == 1:
                self._client.log_sent(record, ready.message.mail, sent)
        self._finish(ready.position, outcome)

    def _post(self, name: Name, message: Message) -> SentMail:
        return self._limiter.call(
            lambda: self._client.send_mail(
                message.record.module,
                message.record.id,
                message.mail,
                before_post=partial(self._journal.ensure_postable, name),
            )
        )

    def _renewed(self, message: Message) -> Message:
        try:
            return self._batch.renew(message)
        except OSError as error:
            raise as_failure(error) from error

    def _look_for_lost(self) -> None:
        """Look for the mails whose responses got lost in this try."""
        lost = {ready.intent.item.name: (ready, error) for ready, error in self._lost}
        self._lost = []
        if not lost:
            return
        log.warning("Looking for %d of the mails, which may or may not have been sent.", len(lost))
        verdicts = self._settle({name: self._suspect(self._go.open[name]) for name in lost})
        for name, verdict in verdicts.items():
            (ready, error), intent = lost[name], self._go.open[name]
            if isinstance(verdict, Found):
                log.info("%s", verdict)
                self._record_found(intent.item, intent.record, verdict)
                outcome = Outcome("sent", intent.record, verdict.message_id)
            else:
                is_scheduled = intent.scheduled is not None
                decision = decide(
                    "open",
                    verdict.evidence,
                    policy=self._policy,
                    asked_since=False,
                    is_own=True,
                    is_scheduled=is_scheduled,
                )
                self._note_doubt(decision, name)
                outcome = _unknown(
                    intent.record,
                    verdict,
                    decision,
                    is_scheduled=is_scheduled,
                    hint=_hint_on_question(decision, None, self._reply),
                    cause=error,
                )
                self._number_unfound += 1
            self._finish(ready.position, outcome)
        if self._number_unfound >= MAX_LOST:
            self._end(BiginOutcomePendingError("too many responses got lost, and the mails were not found"))

    # ---- looking ----

    def _settle(self, suspects: Mapping[Name, Suspect]) -> dict[Name, Verdict]:
        try:
            self._client.server_time()
        except BiginError as error:
            verdicts = dict.fromkeys(suspects, unread(error))
        else:
            verdicts = settle(self._client, suspects, self._scene, each=self._map)
        for verdict in verdicts.values():
            if isinstance(verdict, Unreadable):
                self._note_limit(verdict.error)
        return verdicts

    @cached_property
    def _scene(self) -> Scene:
        """What is known besides the lists; the ids of earlier mails are only read before the first look."""
        claims, has_all_claims = read_claims(self._attempt, self._go)
        self._claims |= claims
        go, keeps = self._go, self._attempt.store.keeps
        names = set(go.open) if go.is_known else set()
        if not keeps:
            names = {item.name for item in self._items}
        own = [marker for name in names for marker in frozenset().union(*self._markers(name))]
        return Scene(
            self._digests,
            task_half(self._attempt.identity),
            frozenset(own),
            self._claims,
            has_all_claims,
            is_first_go=not keeps and self._attempt.first_number == 1,
        )

    def _suspect(self, intent: Intent) -> Suspect:
        markers, old_markers = self._markers(intent.item.name)
        return Suspect(
            intent.record,
            intent.subject,
            intent.people,
            intent.content,
            intent.scheduled,
            intent.window,
            markers,
            old_markers,
            intent.is_marked,
        )

    def _marker(self, name: Name, attempt: int | None = None) -> Marker:
        """Make a mail's marker from its go or, where nothing is kept, from a try (by default this one)."""
        origin = self._go.id if self._attempt.store.keeps else attempt or self._attempt.number
        return Marker(task_half(self._attempt.identity), send_half(origin, *name))

    def _markers(self, name: Name) -> tuple[frozenset[Marker], frozenset[Marker]]:
        """
        Make the markers of a mail in this go, and in what may have been an earlier go.

        Where nothing is kept, those of the tries since the last clear belong to this go.
        """
        if self._attempt.store.keeps:
            return frozenset({self._marker(name)}), frozenset()
        first, number = self._attempt.first_number, self._attempt.number
        return (
            frozenset(self._marker(name, attempt) for attempt in range(first, number + 1)),
            frozenset(self._marker(name, attempt) for attempt in range(1, first)),
        )

    # ---- the parts ----

    def _map(self, function: Callable[[T], R], values: Iterable[T]) -> Iterable[R]:
        return self._preparers.map(function, values) if self._preparers else map(function, values)

    def _new_window(self) -> Window:
        return new_window(self._client, lease=LEASE)

    def _record_found(self, item: Item, record: RecordRef, found: Found) -> None:
        self._record(item, record, "done", message_id=found.message_id)

    def _record(
        self, item: Item, record: RecordRef | None, status: Literal["done", "refused"], **told: str | None
    ) -> None:
        bounded = {name: text(value) if value else None for name, value in told.items()}
        self._journal.record_outcome(Result(item, self._attempt.number, status, record, **bounded))

    def _end_if_general(self, error: BiginError) -> None:
        if not isinstance(error, CONCERNS_ONE_MAIL):
            self._end(error)

    def _end(self, error: BiginError) -> None:
        """Stop sending in this try."""
        self._note_limit(error)
        if not self._ended_by:
            self._ended_by = error
            if len(self._batch) > 1:
                log.warning("Sending no more mails for now: %s.", error.code or error.message)

    def _note_limit(self, error: BiginError) -> None:
        if lasts(error):
            self.limit = self.limit or error

    def _skip(self, position: int) -> None:
        if self._ended_by:
            self._finish(position, Outcome("skipped", self._batch.record(position), error=self._ended_by))

    def _finish(self, position: int, outcome: Outcome) -> None:
        self._outcomes[position] = outcome
        self._on_outcome(outcome)


def _verdict_on_edit(looks: Iterable[Look], *, are_all_open: bool) -> Verdict:
    """
    Judge a row that may be an edit of others to the same people.

    :param are_all_open: whether none of the others has a result; those that do are done.
    """
    verdicts = {look.verdict.evidence: look.verdict for look in looks}
    if not are_all_open or "found" in verdicts:
        return InDoubt(
            "another mail to these people was sent for this run, and its row is gone, so this row may be an"
            " edit of it"
        )
    return next(verdicts[worst] for worst in ("unreadable", "in doubt", "absent") if worst in verdicts)


def as_failure(error: Exception) -> BiginError:
    """Return one of Bigin's errors as it is, and any other as a mail that cannot be composed."""
    if isinstance(error, BiginError):
        return error
    try:
        reason = f"{type(error).__name__}: {error}"
    except Exception:  # the text is not ours
        reason = type(error).__name__
    may_pass = isinstance(error, (ConnectionError, TimeoutError))  # from object storage
    error_class = BiginConnectionError if may_pass else BiginValidationError
    failure = error_class(f"the mail cannot be composed ({reason[:MAX_REASON_LENGTH]})")
    failure.__cause__ = error
    return failure


def _stored_refusal(word: Result) -> BiginError:
    """Repeat what Bigin told an earlier try."""
    if word.detail == OPT_OUT_FIELD:
        told = f"the contact has opted out of e-mail, as Bigin reported in try {word.attempt}"
        return BiginOptedOutError(told, code=word.error)
    return BiginError(
        f"Bigin refused this mail in try {word.attempt} ({word.detail or 'it gave no reason'})",
        code=word.error,
        hint="Fix the cause, then clear the task to send it",
    )


def _place(error: BiginError) -> str | None:
    """Return which part of a mail Bigin refused; its message may quote an address."""
    place = error.details.get("json_path") or error.details.get("api_name")
    return str(place) if place else None


def _hint_on_question(decision: Decision, said: Word | None, reply: Reply | None) -> str | None:
    """Explain that a person will be asked, or what the answer was."""
    if decision == "ask":
        return "A person will be asked once nothing else is left to do"
    if said == "leave":
        return "A person chose to leave it failed. Clear the task to be asked again"
    if reply and not reply.word:
        return "Nobody answered in time, so nothing is sent. Clear the task to be asked again"
    return None


def _unknown(
    record: RecordRef | None,
    verdict: Verdict,
    decision: Decision,
    *,
    is_scheduled: bool,
    hint: str | None,
    cause: BaseException | None = None,
) -> Outcome:
    """
    Report that a mail may have been sent and was not found, and what a person can do.

    :param hint: replaces the advice to look and to clear the task.
    """
    code = verdict.error.code if isinstance(verdict, Unreadable) else None
    remedy = "clear the task to send it"
    if not isinstance(verdict, Absent) or is_scheduled:
        remedy = f'set on_unknown_outcome="resend" and {remedy}'
    error: BiginError
    if decision == "later":
        error = BiginOutcomePendingError(
            f"{verdict} This try sends nothing more",
            code=code,
            hint="The next try of this task looks again before it sends; if it has no retries left, add some",
        )
    else:
        error = BiginOutcomeUnknownError(
            str(verdict),
            code=code,
            hint=hint
            or f"Nothing is sent again until you decide. Look at the e-mails of {record or 'its record'}: if"
            f" the mail is there, mark this task as success; if it is not, {remedy}",
        )
    error.__cause__ = cause
    return Outcome("unknown", record, error=error)


def _blocks(prepared: Iterable[Ready]) -> Iterator[list[Ready]]:
    """Split mails into blocks whose announcement is not too long."""
    block: list[Ready] = []
    recipients = 0
    for ready in prepared:
        recipients += len(ready.intent.people)
        if block and recipients > BLOCK_RECIPIENTS:
            yield block
            block, recipients = [], len(ready.intent.people)
        block.append(ready)
    if block:
        yield block


def _wait_for(futures: set[Future[None]], *, down_to: int) -> set[Future[None]]:
    """Wait until no more than this many are running; raise what any of them raised."""
    while len(futures) > down_to:
        done, futures = wait(futures, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    return futures
