"""Many mails by one task, several at a time, each at most once."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from types import TracebackType

from airflow_provider_bigin.api.client import BiginClient, SentMail
from airflow_provider_bigin.api.errors import (
    BiginError,
    BiginInvalidRequestError,
    BiginNotFoundError,
    BiginOutcomePendingError,
    BiginOutcomeUnknownError,
    BiginPermissionError,
    BiginRecordLockedError,
    BiginTryGivenUpError,
)
from airflow_provider_bigin.delivery.gate import Gate
from airflow_provider_bigin.delivery.intent import Intent
from airflow_provider_bigin.delivery.journal import Journal, Strays
from airflow_provider_bigin.delivery.lookup import (
    Absent,
    Found,
    InDoubt,
    Unreadable,
    Verdict,
    latest_arrival,
    settle,
)
from airflow_provider_bigin.delivery.marker import make_marker, with_marker
from airflow_provider_bigin.delivery.message import Batch, Message
from airflow_provider_bigin.delivery.once import Decision, OnUnknownOutcome, decide, describe
from airflow_provider_bigin.delivery.outcome import Outcome
from airflow_provider_bigin.delivery.task_try import TaskTry

log = logging.getLogger(__name__)

#: Mails that are announced with one write, at most; and recipients, since each takes 20 bytes of the 64 KB
#: that the store likes.
BLOCK_SIZE = 40
BLOCK_RECIPIENTS = 1000
#: Answers that may get lost before the run looks for the mails; and mails that may stay unfound before it
#: ends. If there are more, Bigin or the network is out of order.
MAX_LOST = 20
#: Mails that are looked for one by one where no journal tells which were sent.
MAX_LOOKUPS = 100

#: Errors that concern one mail and say nothing about the next one.
CONCERNS_ONE_MAIL = (
    BiginInvalidRequestError,
    BiginNotFoundError,
    BiginPermissionError,
    BiginRecordLockedError,
)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A mail on its way."""

    position: int
    key: str
    message: Message
    marker: str


class BulkDelivery:
    """
    Deliver the mails of one task, each at most once over all tries of the task.

    A context: leaving it writes the last results down, and leaving it without an error says that the task
    succeeds.

    :param batch: the mails.
    :param client: sends and reads.
    :param task_try: the running try.
    :param gate: what the calls pass.
    :param max_concurrency: mails under way at a time.
    :param on_unknown_outcome: see :func:`~airflow_provider_bigin.delivery.once.decide`.
    :param marker_key: the secret from which the mails' invisible marks are made.
    :param mark_text: put the mark into ``text`` mails too, where readers see it.
    :param on_outcome: told each outcome as it comes, from several threads.
    """

    def __init__(
        self,
        batch: Batch,
        client: BiginClient,
        task_try: TaskTry,
        *,
        gate: Gate,
        max_concurrency: int,
        on_unknown_outcome: OnUnknownOutcome,
        marker_key: str,
        mark_text: bool = False,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._batch = batch
        self._keys = row_keys(map(batch.row, range(len(batch))))
        self._client = client
        self._try = task_try
        self._gate = gate
        self._max_concurrency = max_concurrency
        self._policy = on_unknown_outcome
        self._marker_key = marker_key
        self._mark_text = mark_text
        self._on_outcome = on_outcome
        self._preparers = ThreadPoolExecutor(max_concurrency, "prepare")
        self._senders = ThreadPoolExecutor(max_concurrency, "send")
        self._journal = Journal(task_try, client)
        self._history = self._journal.history
        self._strays = Strays(self._history, self._keys)
        self._claimed = set(self._history.claimed)
        self._doubts: dict[str, Outcome] = {}
        self._outcomes: list[Outcome | None] = [None] * len(self._keys)
        self._lost: list[Parcel] = []
        self._number_unfound = 0
        self._ended_by: BiginError | None = None

    def __enter__(self) -> BulkDelivery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.close(error or CancelledError())
        for pool in (self._preparers, self._senders):
            # What is under way is not waited for: the worker may have been told to stop.
            pool.shutdown(wait=False, cancel_futures=True)
        self._journal.close(is_complete=error is None)

    def deliver(self) -> list[Outcome]:
        """
        Send the mails that are not sent yet.

        :return: what became of each, in their order.
        :raises BiginOutcomeUnknownError: if nothing tells which mails an earlier try has sent.
        :raises BiginTryGivenUpError: if Airflow has given up on this try.
        """
        self._look_for_earlier({key: announced.intent for key, announced in self._history.open.items()})
        self._look_for_earlier(self._presumed_intents())
        waiting = iter([p for p in range(len(self._keys)) if not self._is_decided(p)])
        is_exhausted = False
        while not is_exhausted and not self._ended_by:
            is_exhausted = self._send_some(waiting)
            self._look_for_lost()
        for position in waiting:
            self._skip(position)
        return [outcome for outcome in self._outcomes if outcome]

    # ---- what earlier tries have left ----

    def _is_decided(self, position: int) -> bool:
        """Tell whether earlier tries decide about a mail, and if so, take the outcome."""
        key = self._keys[position]
        result = self._history.results.get(key)
        outcome = result.outcome if result else self._doubts.get(key)
        if outcome:
            self._finish(position, outcome)
        return outcome is not None

    def _look_for_earlier(self, intents: Mapping[str, Intent]) -> None:
        """Look for mails that earlier tries may have sent, and decide which are not to be sent now."""
        if not intents:
            return
        log.info("Earlier tries may have sent %d of the mails; looking for them.", len(intents))
        untils = [
            latest_arrival(self._client) if intent.until is None else intent.until
            for intent in intents.values()
        ]
        for key, verdict in self._settle(intents, until=max(untils)).items():
            intent = intents[key]
            if isinstance(verdict, Found):
                self._doubts[key] = Outcome("already_sent", intent.record_id, verdict.message_id)
                if key in self._journal.open:
                    self._journal.finish(key, self._doubts[key])
                continue
            decision = self._decide(intent, verdict, is_own=False)
            if decision != "send":
                self._doubts[key] = _unknown(intent, verdict, decision)

    def _presumed_intents(self) -> dict[str, Intent]:
        """
        Presume an intent for each mail that an earlier try may have sent without a trace: before Airflow 3.3,
        or if the journal is damaged.

        :raises BiginOutcomeUnknownError: if these are too many to look for.
        """
        is_traceless = self._try.is_retry if self._try.store is None else not self._history.is_whole
        if not is_traceless:
            return {}
        positions = [
            position
            for position, key in enumerate(self._keys)
            if key not in self._history.results and key not in self._history.open
        ]
        if len(positions) <= MAX_LOOKUPS:
            return dict(self._compose_presumed(positions))
        if self._policy == "resend":
            log.warning("Nothing tells which mails earlier tries have sent; sending all of them.")
            return {}
        raise BiginOutcomeUnknownError(
            f"An earlier try may have sent some of {len(positions)} mails, and nothing tells which: Airflow"
            f" keeps what a try has done only from 3.3 on, and {MAX_LOOKUPS} mails at most are looked for",
            hint="See in that try's log how far it came, and start a new run with the rows that are left;"
            ' on_unknown_outcome="resend" sends all mails again',
        )

    def _compose_presumed(self, positions: Iterable[int]) -> Iterator[tuple[str, Intent]]:
        for position in positions:
            try:
                message = self._batch.complete(replace(self._batch.draft(position), files=()))
            except Exception:  # noqa: S112
                continue  # it could not be sent then either; composing it to send it says why
            key = self._keys[position]
            yield (
                key,
                Intent.of(
                    *message.record,
                    message.mail,
                    since=self._try.begun_at,
                    until=None,
                    marker=self._marker(key),
                ),
            )

    def _outcome_of_stray(self, message: Message) -> Outcome | None:
        """Return what an earlier try did for the same person under another row, if that decides."""
        key = self._strays.take(message)
        if key is None:
            return None
        result = self._history.results.get(key)
        if result:
            return result.outcome if result.outcome.is_delivered else None
        return self._doubts.get(key)

    # ---- sending ----

    def _send_some(self, waiting: Iterator[int]) -> bool:
        """Send until the run has to end or too many answers got lost; tell if all were tried."""
        under_way: set[Future[None]] = set()
        is_exhausted = False
        while not self._ended_by and not is_exhausted and len(self._lost) < MAX_LOST:
            positions = list(islice(waiting, BLOCK_SIZE))
            is_exhausted = len(positions) < BLOCK_SIZE
            parcels = [parcel for parcel in self._preparers.map(self._prepare, positions) if parcel]
            for portion in _portions(parcels):
                # Announced while the last mails of the block before are still under way: nobody has to wait.
                under_way = _wait_for(under_way, down_to=self._max_concurrency)
                self._journal.announce({parcel.key: (parcel.message, parcel.marker) for parcel in portion})
                under_way |= {self._senders.submit(self._send, parcel) for parcel in portion}
        _wait_for(under_way, down_to=0)
        return is_exhausted

    def _prepare(self, position: int) -> Parcel | None:
        """Make a mail; if it cannot be made, or was sent for another row, that is its outcome."""
        if self._ended_by:
            self._skip(position)
            return None
        key = self._keys[position]
        try:
            message = self._batch.complete(self._batch.draft(position))
            outcome = self._outcome_of_stray(message)
            if not outcome:
                marker = self._marker(key)
                mail = with_marker(message.mail, marker, in_text=self._mark_text)
                return Parcel(position, key, replace(message, mail=mail), marker)
        except BiginError as error:
            self._end_if_general(error)
            outcome = Outcome.of_error("failed", error)
        except Exception as error:  # whatever a strange value in a row leads to
            outcome = Outcome.of_error("failed", error)
        self._finish(position, outcome)
        return None

    def _send(self, parcel: Parcel) -> None:
        """Send one announced mail. What is no matter of this mail is raised and ends the run."""
        if self._ended_by:
            self._journal.withdraw(parcel.key)
            self._skip(parcel.position)
            return
        record_id = parcel.message.record.id
        try:
            sent = self._gate.call(partial(self._post, parcel))
        except BiginOutcomeUnknownError:
            self._lost.append(parcel)
            return
        except BiginTryGivenUpError as error:
            self._gate.close(error)
            raise
        except BiginError as error:
            outcome = Outcome.of_error("failed", error, record_id)
            self._end_if_general(error)
            if isinstance(error, CONCERNS_ONE_MAIL) and not error.retryable:
                self._journal.finish(parcel.key, outcome)
            else:
                self._journal.withdraw(parcel.key)
        except BaseException as error:
            self._gate.close(error)
            raise
        else:
            self._claimed.add(sent.message_id)
            outcome = Outcome("sent", record_id, sent.message_id)
            self._journal.finish(parcel.key, outcome)
        self._finish(parcel.position, outcome)

    def _post(self, parcel: Parcel) -> SentMail:
        return self._client.send_mail(
            *parcel.message.record,
            parcel.message.mail,
            before_post=partial(self._journal.before_post, parcel.key),
        )

    def _look_for_lost(self) -> None:
        """Look for the mails whose answers got lost in this try."""
        lost = {parcel.key: parcel for parcel in self._lost}
        self._lost = []
        if not lost:
            return
        log.warning("It is not known whether %d of the mails were sent; looking for them.", len(lost))
        intents = {key: self._journal.open[key].intent for key in lost}
        for key, verdict in self._settle(intents, until=latest_arrival(self._client)).items():
            if isinstance(verdict, Found):
                outcome = Outcome("sent", intents[key].record_id, verdict.message_id)
                self._journal.finish(key, outcome)
            else:
                decision = self._decide(intents[key], verdict, is_own=True)
                outcome = _unknown(intents[key], verdict, decision)
                self._number_unfound += 1
            self._finish(lost[key].position, outcome)
        if self._number_unfound >= MAX_LOST:
            self._end(BiginOutcomePendingError("too many answers got lost and the mails were not found"))

    # ---- the parts ----

    def _settle(self, intents: Mapping[str, Intent], *, until: float) -> dict[str, Verdict]:
        verdicts = settle(self._client, intents, until=until, claimed=self._claimed, each=self._preparers.map)
        found = {verdict.message_id for verdict in verdicts.values() if isinstance(verdict, Found)}
        self._claimed |= found
        log.info("%d of %d were sent.", len(found), len(intents))
        return verdicts

    def _decide(self, intent: Intent, verdict: Absent | InDoubt | Unreadable, *, is_own: bool) -> Decision:
        return decide(
            verdict,
            policy=self._policy,
            is_own=is_own,
            is_scheduled=intent.scheduled is not None,
            was_cleared=self._history.was_cleared and not is_own,
        )

    def _marker(self, key: str) -> str:
        return make_marker(self._marker_key, (*self._try.identity, self._journal.epoch, key))

    def _end_if_general(self, error: BiginError) -> None:
        if not isinstance(error, CONCERNS_ONE_MAIL):
            self._end(error)

    def _end(self, error: BiginError) -> None:
        """Send nothing more in this try."""
        if not self._ended_by:
            log.warning("No more mails are sent for now: %s.", error.code or error.message)
            self._ended_by = error

    def _skip(self, position: int) -> None:
        if self._ended_by:
            self._finish(position, Outcome.of_error("skipped", self._ended_by))

    def _finish(self, position: int, outcome: Outcome) -> None:
        if outcome.record_id is None:
            record = self._batch.record(position)
            outcome = replace(outcome, record_id=record and record.id)
        self._outcomes[position] = outcome
        self._on_outcome(outcome)


def _unknown(intent: Intent, verdict: Absent | InDoubt | Unreadable, decision: Decision) -> Outcome:
    code = verdict.error.code if isinstance(verdict, Unreadable) else None
    return Outcome(
        "unknown",
        intent.record_id,
        error=code or "OUTCOME_UNKNOWN",
        detail=describe(verdict),
        is_retryable=decision == "retry",
    )


def row_keys(rows: Iterable[str]) -> list[str]:
    """Name each row by its content, and equal rows by their order."""
    seen: Counter[str] = Counter()
    keys = []
    for row in rows:
        content = _digest(row)
        keys.append(_digest(f"{content} {seen[content]}"))
        seen[content] += 1
    return keys


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _portions(parcels: Iterable[Parcel]) -> Iterator[list[Parcel]]:
    """Divide a block whose announcement would be too long."""
    portion: list[Parcel] = []
    recipients = 0
    for parcel in parcels:
        mail = parcel.message.mail
        recipients += len(mail.to) + len(mail.cc)
        if portion and recipients > BLOCK_RECIPIENTS:
            yield portion
            portion, recipients = [], len(mail.to) + len(mail.cc)
        portion.append(parcel)
    if portion:
        yield portion


def _wait_for(futures: set[Future[None]], *, down_to: int) -> set[Future[None]]:
    """Wait until no more than so many are under way; raise what one of them raised."""
    while len(futures) > down_to:
        done, futures = wait(futures, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    return futures
