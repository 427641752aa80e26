"""The decisions of at-most-once delivery: send, resume, look, send again, give up."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Literal

from airflow_provider_bigin.api.client import BiginClient, SentMail
from airflow_provider_bigin.api.errors import (
    BiginError,
    BiginOutcomePendingError,
    BiginOutcomeUnknownError,
)
from airflow_provider_bigin.delivery.attempt import send_repeatedly
from airflow_provider_bigin.delivery.intent import Intent, SendState, ensure_recent, read_state
from airflow_provider_bigin.delivery.lookup import (
    Absent,
    Found,
    InDoubt,
    Unreadable,
    Verdict,
    bigin_time,
    latest_arrival,
    settle,
)
from airflow_provider_bigin.delivery.marker import make_marker, with_marker
from airflow_provider_bigin.delivery.message import Batch, Message
from airflow_provider_bigin.delivery.task_try import TaskTry

log = logging.getLogger(__name__)

OnUnknownOutcome = Literal["check", "fail", "resend"]
ON_UNKNOWN_OUTCOME: tuple[OnUnknownOutcome, ...] = ("check", "fail", "resend")

#: Where the state of a send is kept; the prefix keeps out of the way of what users store.
STATE_KEY = "airflow_provider_bigin.send"


class Delivery:
    """
    Deliver the one mail of a task at most once, over all tries of the task.

    :param client: sends and reads.
    :param task_try: the running try.
    :param on_unknown_outcome: what to do when it cannot be told whether the mail was sent; see
        :func:`decide`.
    :param marker_key: the secret from which the mail's invisible mark is made.
    :param mark_text: put the mark into ``text`` mails too, where readers see it.
    """

    def __init__(
        self,
        client: BiginClient,
        task_try: TaskTry,
        *,
        on_unknown_outcome: OnUnknownOutcome,
        marker_key: str,
        mark_text: bool = False,
    ) -> None:
        self._client = client
        self._try = task_try
        self._policy = on_unknown_outcome
        self._marker_key = marker_key
        self._mark_text = mark_text

    def deliver(self, batch: Batch) -> str:
        """
        Send the mail, or find that it is sent.

        :param batch: of the one mail; completed only if the mail is about to be sent.
        :return: its ``message_id``.
        :raises BiginOutcomePendingError: if the next try shall look for it.
        :raises BiginOutcomeUnknownError: if a person has to look for it.
        :raises BiginError: if it was surely not sent.
        """
        state = self._recall()
        was_cleared = state is not None and state.max_tries != self._try.max_tries
        if state and state.status == "sent" and state.message_id and not was_cleared:
            log.info(
                "An earlier try has sent this mail already (message_id %s); not sending it again.",
                state.message_id,
            )
            return state.message_id
        epoch = self._epoch(state, was_cleared=was_cleared)
        claimed = _claimed(state)
        marker = make_marker(self._marker_key, (*self._try.identity, epoch))
        if state and state.status == "open":
            # What is looked for is what the intent says, not what this try would render.
            draft = replace(batch.draft(0), files=())
            intent = state.intent or self._presumed_intent(batch.complete(draft), marker)
            found = self._look_for_earlier(intent, claimed, was_cleared=was_cleared)
            if (
                found
                and was_cleared
                and not intent.is_for_the_people_of(*batch.complete(draft).record, draft.mail)
            ):
                log.info(
                    "That mail, from before the task was cleared, was for others than the present one, which"
                    " is sent now."
                )
                claimed = (*claimed, found.message_id)
            elif found:
                if was_cleared:
                    log.info(
                        "This is the mail from before the task was cleared. Clear the task once more to send"
                        " another."
                    )
                sent = SendState(
                    "sent", self._try.max_tries, epoch, message_id=found.message_id, claimed=claimed
                )
                self._try.note(STATE_KEY, sent.as_json())
                return found.message_id
        else:
            log.info("Sending the mail%s.", " again, since the task was cleared" if was_cleared else "")
        message = batch.complete(batch.draft(0))
        mail = with_marker(message.mail, marker, in_text=self._mark_text)
        return self._send(
            replace(message, mail=mail),
            SendState("open", self._try.max_tries, epoch, claimed=claimed),
            marker,
        )

    def _recall(self) -> SendState | None:
        """
        Tell how far earlier tries have come; None if nothing was begun.

        A stored value that cannot be understood, and any retry where nothing can be stored, may have sent at
        an unknown time.
        """
        unknown = SendState("open", self._try.max_tries, self._try.first_number)
        if self._try.store is None:
            return unknown if self._try.is_retry else None
        stored = self._try.store.get(STATE_KEY)
        return None if stored is None else read_state(stored) or unknown

    def _epoch(self, state: SendState | None, *, was_cleared: bool) -> int:
        if state is None:
            return self._try.first_number
        return max(self._try.first_number, state.epoch + 1) if was_cleared else state.epoch

    def _presumed_intent(self, message: Message, marker: str) -> Intent:
        """Describe what an earlier try will have sent if it sent, at some time since the run began."""
        return Intent.of(*message.record, message.mail, since=self._try.begun_at, until=None, marker=marker)

    def _look_for_earlier(
        self, intent: Intent, claimed: tuple[str, ...], *, was_cleared: bool
    ) -> Found | None:
        log.info("An earlier try may have sent this mail; looking for it among the record's e-mails.")
        until = intent.until if intent.until is not None else latest_arrival(self._client)
        verdict = settle(self._client, {0: intent}, until=until, claimed=claimed)[0]
        if isinstance(verdict, Found):
            _log_found(verdict)
            return verdict
        decision = decide(
            verdict,
            policy=self._policy,
            is_own=False,
            is_scheduled=intent.scheduled is not None,
            was_cleared=was_cleared,
        )
        if decision != "send":
            raise undelivered(verdict, decision, intent)
        log.info("%s Sending it.", describe(verdict))
        return None

    def _send(self, message: Message, state: SendState, marker: str) -> str:
        (module, record_id), mail = message.record, message.mail

        def announce() -> None:
            nonlocal state
            now = bigin_time(self._client)
            intent = Intent.of(
                module, record_id, mail, since=now, until=latest_arrival(self._client), marker=marker
            )
            state = SendState("open", state.max_tries, state.epoch, intent, claimed=state.claimed)
            self._try.announce(STATE_KEY, state.as_json())
            ensure_recent(now, bigin_time(self._client))

        def post() -> SentMail:
            return self._client.send_mail(module, record_id, mail, before_post=announce)

        try:
            sent = send_repeatedly(post, clock=self._client.clock)
        except BiginOutcomeUnknownError as error:
            return self._find_own(state, error)
        except BiginError:
            if state.intent:
                self._try.note(STATE_KEY, state.not_sent().as_json())
            raise
        log.info("The mail is sent (message_id %s).", sent.message_id)
        self._try.note(STATE_KEY, state.sent(sent.message_id).as_json())
        return sent.message_id

    def _find_own(self, state: SendState, error: BiginOutcomeUnknownError) -> str:
        """Look for the mail whose answer was lost in this try."""
        if state.intent is None:
            raise error
        log.warning(
            "It is not known whether the mail was sent (%s); looking for it among the record's e-mails.",
            error.message,
        )
        verdict = settle(
            self._client, {0: state.intent}, until=latest_arrival(self._client), claimed=state.claimed
        )[0]
        if isinstance(verdict, Found):
            _log_found(verdict)
            self._try.note(STATE_KEY, state.sent(verdict.message_id).as_json())
            return verdict.message_id
        decision = decide(
            verdict,
            policy=self._policy,
            is_own=True,
            is_scheduled=state.intent.scheduled is not None,
            was_cleared=False,
        )
        raise undelivered(verdict, decision, state.intent) from error


Decision = Literal["send", "retry", "give up"]


def decide(
    verdict: Absent | InDoubt | Unreadable,
    *,
    policy: OnUnknownOutcome,
    is_own: bool,
    is_scheduled: bool,
    was_cleared: bool,
) -> Decision:
    """
    Decide what follows when a mail that may have been sent is not found.

    :param verdict: what the look for it gave.
    :param policy: ``check``: send again only if it is surely absent, and give up in doubt; ``fail``: never
        send again; ``resend``: send again unless it was found.
    :param is_own: whether this very try may have sent it. Then it is the next try that looks once more and
        sends.
    :param is_scheduled: whether it was to leave later. Then its absence proves nothing.
    :param was_cleared: whether a person has cleared the task since, and so asked for a mail.
    """
    if isinstance(verdict, Unreadable):
        return "retry"
    if was_cleared:
        return "send"
    is_absent = isinstance(verdict, Absent) and not is_scheduled
    if policy == "resend" or (policy == "check" and is_absent):
        return "retry" if is_own else "send"
    return "give up"


def undelivered(
    verdict: Absent | InDoubt | Unreadable, decision: Decision, intent: Intent
) -> BiginOutcomeUnknownError:
    """Make the error for a mail that may have been sent and is not found; it says what a person can do."""
    if decision == "retry":
        return BiginOutcomePendingError(
            f"{describe(verdict)} This try sends nothing more",
            hint="The next try of this task looks once more before it sends; give the task retries if it has"
            " none left",
        )
    return BiginOutcomeUnknownError(
        describe(verdict),
        hint=f"Nothing is sent again without you. Look at the e-mails of record {intent.record_id} in"
        f" {intent.module}: if the mail is"
        " there, mark this task as success; if it is not, clear the task to send it",
    )


def describe(verdict: Verdict) -> str:
    """Say in one sentence what a look for a mail gave."""
    if isinstance(verdict, Absent):
        return "The mail is not among its record's e-mails."
    if isinstance(verdict, InDoubt):
        return f"It cannot be told whether the mail was sent, because {verdict.reason.rstrip('.')}."
    if isinstance(verdict, Unreadable):
        reason = verdict.error.code or verdict.error.message
        return f"The record's e-mails cannot be read at the moment ({reason})."
    return f"The mail was sent (message_id {verdict.message_id})."


def _log_found(found: Found) -> None:
    how = "by its mark" if found.by_marker else "by its subject, recipients and time"
    log.info(
        "The mail was sent (message_id %s); it was found %s. It is not sent again.", found.message_id, how
    )


def _claimed(state: SendState | None) -> tuple[str, ...]:
    """Name the mails that belong to sends of this task before it was cleared."""
    if state is None:
        return ()
    return (*state.claimed, state.message_id) if state.message_id else state.claimed
