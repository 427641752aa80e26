"""The question to a person whether mails in doubt were sent: its texts and the meaning of the answers."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_bigin.api.text import excerpt, one_line
from airflow_provider_bigin.delivery.doubts import Reply

if TYPE_CHECKING:
    from airflow.sdk import BaseNotifier, Context

    from airflow_provider_bigin.delivery.outcome import Outcome
    from airflow_provider_bigin.delivery.policy import Word

log = logging.getLogger(__name__)

#: The possible answers, about one mail and about many.
OPTIONS: dict[Word, tuple[str, str]] = {
    "sent": ("It was sent", "They were sent"),
    "send": ("Send it", "Send them"),
    "leave": ("Leave it failed", "Leave them failed"),
}
WORDS: dict[str, Word] = {option: word for word, options in OPTIONS.items() for option in options}


class Question(NamedTuple):
    """
    A question as Airflow shows it, with ``body`` in Markdown.

    Airflow keeps the first one of a task instance, so nothing in it may change from one try to the next.
    """

    subject: str
    body: str
    options: tuple[str, ...]


class Asked(NamedTuple):
    """What notifiers can show: ``{{ question.subject }}`` and ``{{ question.url }}``."""

    subject: str
    url: str


def about_one(outcome: Outcome) -> Question:
    """
    Ask about the operator's only mail.

    :param outcome: outcome that says what was seen.
    """
    record = one_line(str(outcome.record or "its record"))
    seen = outcome.error.message if outcome.error else ""
    sent, send, leave = (options[0] for options in OPTIONS.values())
    return Question(
        f"Was the mail to {record} sent?",
        f"""\
Airflow asked Bigin to send this mail, and it is unknown whether it was sent: the response was lost, or the
worker died. Nothing is sent until someone answers.

When this was first asked, the task had looked at the e-mails of {as_code(record)}:

> {as_code(seen)}

Its log says what was seen last. Look at these e-mails in Bigin, then choose:

- **{sent}**: the mail is there. The task succeeds, without a `message_id`.
- **{send}**: the mail is not there. It is sent, unless it is found after all.
- **{leave}**: nothing is sent. Clearing the task asks again.

Without an answer in time, the task fails, unless the e-mails have settled the question by then.
""",
        (sent, send, leave),
    )


def about_many() -> Question:
    """Ask about all mails in doubt."""
    sent, send, leave = (options[1] for options in OPTIONS.values())
    return Question(
        "Were the mails in doubt sent?",
        f"""\
Airflow asked Bigin to send these mails, and it is unknown whether they were sent: the responses were lost, or
the worker died. The task has done what it could about all others. Nothing is sent until someone answers.

**The answer applies to all mails in doubt.** They are the rows with the status `unknown` in the task's XCom
`return_value`; its log says what the e-mails of their records showed.

Look at the e-mails of these records in Bigin, then choose:

- **{sent}**: the mails are there. They count as sent, without a `message_id`.
- **{send}**: the mails are not there. Each is sent, unless it is found after all.
- **{leave}**: nothing is sent. Clearing the task asks again.

Without an answer in time, they are not sent, unless the e-mails have settled the question by then.
""",
        (sent, send, leave),
    )


def read_reply(event: Mapping[str, Any], doubts: Collection[str]) -> Reply:
    """
    Read the event that Airflow resumes with: an answer, or that there was none in time.

    :param doubts: what was asked about.
    """
    chosen = [*(event.get("chosen_options") or ()), None][0]
    word = WORDS.get(chosen) if isinstance(chosen, str) else None
    if word:
        person = event.get("responded_by_user") or {}
        log.info("%s answered: %s.", excerpt(str(person.get("name") or "Someone")), chosen)
    else:
        log.warning("Nobody answered in time whether the mails in doubt were sent.")
    return Reply(word, doubts)


def notify(notifiers: Sequence[BaseNotifier], context: Context, question: Question) -> None:
    """Notify people of the question. A notification that fails is only an error in the log."""
    from airflow_provider_bigin.version_compat import task_url

    asked = Asked(question.subject, f"{task_url(context['ti'])}/required_actions")
    log.info("Asking a person: %s %s", *asked)
    for notifier in notifiers:
        try:
            notifier({**context, "question": asked})
        except Exception:
            log.exception("Nobody was notified of the question by %s.", type(notifier).__name__)


def as_code(text: str) -> str:
    """Quote untrusted text in Markdown: in code, nothing becomes markup, a link, or an image."""
    line = excerpt(text).replace("`", "'")
    return f"`{line}`" if line else ""
