"""What the operators and the sensor share: the hook, what is rendered, and how a try ends."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cached_property, partial, wraps
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, NoReturn, ParamSpec, TypeVar

from airflow_provider_bigin.api.errors import BiginConfigurationError, BiginError
from airflow_provider_bigin.compose.upstream import has_reference, is_reference, mapped_from_upstream
from airflow_provider_bigin.version_compat import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowTaskTimeout,
    BaseOperator,
    can_ask_people,
    can_reschedule,
    count,
    put_question,
    wait_for_answer,
)

if TYPE_CHECKING:
    import jinja2
    from airflow.sdk import BaseNotifier, Context

    from airflow_provider_bigin.api.files import File
    from airflow_provider_bigin.delivery.attempt import TaskAttempt
    from airflow_provider_bigin.delivery.doubts import Reply
    from airflow_provider_bigin.delivery.engine import Delivery
    from airflow_provider_bigin.delivery.limiter import ConcurrencyLimiter
    from airflow_provider_bigin.delivery.message import Batch
    from airflow_provider_bigin.delivery.outcome import Outcome
    from airflow_provider_bigin.delivery.policy import OnUnknownOutcome
    from airflow_provider_bigin.hooks.bigin import BiginHook
    from airflow_provider_bigin.operators.question import Question

log = logging.getLogger(__name__)

#: The longest wait for an answer, so that its end is a date that Airflow's databases can store.
MAX_ASK_TIMEOUT = timedelta(days=3650)

P = ParamSpec("P")
T = TypeVar("T")
Operator = TypeVar("Operator", bound="BiginOperator")


def ends_try(method: Callable[Concatenate[Operator, P], T]) -> Callable[Concatenate[Operator, P], T]:
    """
    Let a method of an operator end the try as its error requires.

    An error that a later try may cure is raised as it is, so that Airflow retries; any other fails the task
    at once.
    """

    @wraps(method)
    def ending(self: Operator, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        except BiginError as error:
            if self.may_retry(error):
                raise
            # A person has to fix it: the message says what, and a longer traceback would hide that.
            raise AirflowFailException(str(error)) from None

    return ending


class BiginOperator(BaseOperator):
    """
    The base of the operators and the sensor.

    Arguments are templates if the DAG's author wrote them, and data if they come from other tasks.
    """

    ui_color = "#e4f0fa"
    bigin_conn_id: str
    #: Arguments that cannot come from another task, with their defaults.
    author_only: ClassVar[dict[str, Any]] = {}
    #: Arguments with a value from another task.
    from_upstream: frozenset[str] = frozenset()

    @cached_property
    def hook(self) -> BiginHook:
        """The hook, the same for the whole try."""
        from airflow_provider_bigin.hooks.bigin import BiginHook

        return BiginHook(self.bigin_conn_id)

    def may_retry(self, error: BiginError) -> bool:
        """Return whether a retry may cure an error."""
        return error.retryable

    def check_choice(self, name: str, known: Sequence[str]) -> None:
        """Refuse an argument that is not one of the known values."""
        if getattr(self, name) not in known:
            raise BiginConfigurationError(
                f"{name}: {getattr(self, name)!r} must be one of {', '.join(known)}"
            )

    @ends_try
    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """
        Render what the DAG's author wrote, and never what came from another task.

        Airflow calls this on the operator itself even for mapped tasks, so that operators can override it.
        """
        if parent is self:
            template_fields = self._fields_to_render(list(template_fields), context, jinja_env)
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)

    def _fields_to_render(
        self, template_fields: list[str], context: Context, jinja_env: jinja2.Environment
    ) -> list[str]:
        """
        Resolve the arguments that come from other tasks, and return the names of those to render.

        :raises BiginError: if an argument reserved to the author came from another task.
        """
        map_index = getattr(context.get("ti"), "map_index", None)
        mapped = mapped_from_upstream(self, map_index, [*template_fields, *self.author_only])
        own = [name for name in template_fields if name not in mapped]
        self.from_upstream = frozenset(
            mapped.union(name for name in own if has_reference(getattr(self, name)))
        )
        for name, default in self.author_only.items():
            if name in self.from_upstream and getattr(self, name) != default:
                raise BiginConfigurationError(
                    f"{name}: it limits what other tasks may do, so it cannot come from one"
                )
        for name in template_fields:
            if is_reference(value := getattr(self, name)):
                setattr(self, name, self.render_template(value, context, jinja_env))
                mapped.add(name)
        return [name for name in template_fields if name not in mapped]


class BiginMailOperator(BiginOperator):
    """The base of the operators that send mail."""

    files: Any
    images: Any
    files_root: Any

    def __init__(
        self,
        *,
        on_unknown_outcome: OnUnknownOutcome = "check",
        ask_timeout: timedelta = timedelta(days=1),
        ask_users: Sequence[Mapping[str, str]] = (),
        ask_notifiers: Sequence[BaseNotifier] | BaseNotifier = (),
        limit_wait: timedelta | None = timedelta(days=1),
        mark_text: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.on_unknown_outcome = on_unknown_outcome
        self.ask_timeout = ask_timeout
        self.ask_users = ask_users
        self.ask_notifiers = ask_notifiers if isinstance(ask_notifiers, Sequence) else [ask_notifiers]
        self.limit_wait = limit_wait
        self.mark_text = mark_text
        self._refuse_to_ask_in_vain()

    @ends_try
    def execute_with_answer(self, context: Context, event: Mapping[str, Any], doubts: Collection[str]) -> Any:
        """
        Resume when a person has answered, or has not answered in time.

        :param event: the event that Airflow resumes with.
        :param doubts: what was asked about.
        """
        from airflow_provider_bigin.operators.question import read_reply

        return self._deliver(context, read_reply(event, doubts))

    def _deliver(self, context: Context, reply: Reply | None = None) -> Any:
        """
        Send what no earlier try has sent.

        :param reply: reply to the question with which this try waited for a person.
        """
        raise NotImplementedError

    def check_unknown_outcome(self) -> None:
        """Check, before the first request, that the arguments for an unknown outcome can be honored."""
        from airflow_provider_bigin.delivery.policy import ON_UNKNOWN_OUTCOME

        self.check_choice("on_unknown_outcome", ON_UNKNOWN_OUTCOME)
        self._refuse_to_ask_in_vain()
        if not isinstance(self.ask_timeout, timedelta) or self.ask_timeout > MAX_ASK_TIMEOUT:
            raise BiginConfigurationError(
                f"ask_timeout: {self.ask_timeout!r} must be a timedelta of at most"
                f" {MAX_ASK_TIMEOUT.days} days"
            )
        if not isinstance(self.ask_users, Sequence) or not all(
            isinstance(user, Mapping) and {"id", "name"} <= {*user} for user in self.ask_users
        ):
            raise BiginConfigurationError('ask_users: it must be a list of {"id": ..., "name": ...}')

    def _refuse_to_ask_in_vain(self) -> None:
        if self.on_unknown_outcome == "ask" and not can_ask_people():
            raise BiginConfigurationError(
                'on_unknown_outcome: "ask" needs Airflow 3.1 or later, which can ask people; use "check"'
            )

    def ask(self, context: Context, delivery: Delivery, question: Question) -> NoReturn:
        """
        Ask a person about all mails in doubt, and wait for the answer.

        :raises BiginJournalError: if the state could not be written; the next try asks instead.
        """
        from airflow_provider_bigin.operators.question import notify

        delivery.keep()
        put_question(context["ti"], **question._asdict(), users=self.ask_users)
        notify(self.ask_notifiers, context, question)
        wait_for_answer(
            self,
            context["ti"],
            options=question.options,
            timeout=self.ask_timeout,
            method_name="execute_with_answer",
            arguments={"doubts": delivery.doubts},
        )

    def read_files(self) -> tuple[list[File], dict[str, File]]:
        """Read the paths of ``files`` and ``images``; allow another task's only below ``files_root``."""
        from airflow_provider_bigin.compose.attachments import read_files, read_images

        return (
            read_files(self.files, self.files_root, is_data="files" in self.from_upstream),
            read_images(self.images, self.files_root, is_data="images" in self.from_upstream),
        )

    def delivery(
        self,
        batch: Batch,
        context: Context,
        limiter: ConcurrencyLimiter,
        *,
        reply: Reply | None,
        max_concurrency: int = 1,
        on_outcome: Callable[[Outcome], None] = lambda outcome: None,
    ) -> Delivery:
        """Start delivering mails in this try; the parameters are those of :class:`Delivery`."""
        from airflow_provider_bigin.delivery.attempt import TaskAttempt
        from airflow_provider_bigin.delivery.engine import Delivery
        from airflow_provider_bigin.delivery.identity import description_of

        attempt = TaskAttempt.from_context(
            context, self, describe=partial(description_of, batch), is_resumed=reply is not None
        )
        # Wait out a throttled token in the worker slot only if there is no other way.
        self.hook.is_patient = not (self._patience and attempt.can_resume)
        return Delivery(
            batch,
            self.hook.get_conn(),
            attempt,
            limiter=limiter,
            max_concurrency=max_concurrency,
            on_unknown_outcome=self._policy(attempt, reply),
            reply=reply,
            mark_text=self.mark_text,
            on_outcome=partial(self._note, on_outcome),
        )

    def _policy(self, attempt: TaskAttempt, reply: Reply | None) -> OnUnknownOutcome:
        """Return the policy, without asking again in vain, or where an answer could not be kept."""
        is_unanswered = reply is not None and not reply.word
        if self.on_unknown_outcome == "ask" and (is_unanswered or not attempt.can_resume):
            return "check"
        return self.on_unknown_outcome

    def _note(self, on_outcome: Callable[[Outcome], None], outcome: Outcome) -> None:
        count("bigin.mails", outcome=outcome.status)
        on_outcome(outcome)

    @property
    def _patience(self) -> timedelta | None:
        """How long this task may wait without a worker slot; None if Airflow does not support it."""
        if not isinstance(self.limit_wait, (timedelta, type(None))):
            raise BiginConfigurationError(f"limit_wait: {self.limit_wait!r} must be a timedelta or None")
        return self.limit_wait if can_reschedule() else None

    def wait_for_limit(self, delivery: Delivery, outcomes: Collection[Outcome]) -> None:
        """
        Let Airflow run this try again later if a lasting limit keeps mails from being sent.

        If it lasts too long for that, its hint says until when.

        :raises AirflowRescheduleException: to wait.
        """
        from airflow_provider_bigin.delivery.limits import seconds_left

        limit, patience = delivery.limit, self._patience
        is_left = any(outcome.is_retryable for outcome in outcomes)  # a person's word may have settled all
        if not limit or not is_left or not patience or not delivery.may_run_again:
            return
        until = self.hook.clock.time() + seconds_left(limit, self.hook.get_conn())
        date = datetime.fromtimestamp(until, timezone.utc)
        if not delivery.wait(until, patience.total_seconds()):
            told = (
                f"The limit lasts until {date:%Y-%m-%d %H:%M} UTC, longer than limit_wait lets this task wait"
            )
            limit.hint = f"{limit.hint}. {told}" if limit.hint else told
            return
        log.info(
            "Waiting until %s UTC, with %d of %d mails left: %s. This takes no worker slot and no retry.",
            f"{date:%Y-%m-%d %H:%M:%S}",
            sum(outcome.is_retryable for outcome in outcomes),
            len(outcomes),
            str(limit).rstrip("."),
        )
        raise AirflowRescheduleException(date)  # type: ignore[no-untyped-call]

    def hand_over(self, context: Context, result: Any, **xcoms: Any) -> None:
        """
        Push the task's result to XCom.

        This comes before it is stored that all is done: Airflow's own push, which comes later, might fail.
        """
        from airflow_provider_bigin.delivery.attempt import is_same_task

        if self.do_xcom_push and is_same_task(context["task"], self):
            xcoms["return_value"] = result
        for key, value in xcoms.items():
            context["ti"].xcom_push(key=key, value=value)

    def on_kill(self) -> None:
        """
        Stop at once.

        Airflow 3 lets a task that it has given up on continue for seconds after SIGTERM; what is raised here
        interrupts it. ``SystemExit`` is not an ``Exception``, so nothing on the way takes it for a failed
        call, an open intent stays open, and Airflow retries. After ``execution_timeout`` the task has already
        ended, and what Airflow is about to raise says so.
        """
        if not isinstance(sys.exc_info()[1], AirflowTaskTimeout):
            raise SystemExit("the task was told to stop")
