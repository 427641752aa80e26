"""The default subject and text of a notification, made from Airflow's context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.mail import MAX_SUBJECT_LENGTH
from airflow_provider_bigin.api.text import excerpt, one_line
from airflow_provider_bigin.version_compat import dag_run_url, redact

if TYPE_CHECKING:
    import jinja2

#: Colors by state, for the label's background and text, readable on white and on dark.
COLORS = {
    "success": "#1a7f37",
    "failed": "#b42318",
    "up for retry": "#9a6700",
    "deadline missed": "#9a6700",
    "SLA missed": "#9a6700",
    "waiting for an answer": "#9a6700",
}
OTHER_COLOR = "#475467"
#: The states of a task or a DAG that has failed.
FAILURES = ("failed", "up for retry")


@dataclass(frozen=True)
class Event:
    """
    What happened, as a person wants to read it.

    ``facts`` are labels and values, in the order in which they are shown. ``link`` leads to more, and
    ``link_text`` is its text. ``failure`` identifies a failure, however often Airflow reports it; it is empty
    if nothing failed.
    """

    subject: str
    title: str
    state: str
    facts: tuple[tuple[str, str], ...]
    exception: str
    link: str
    link_text: str
    failure: tuple[str | int, ...]

    @property
    def color(self) -> str:
        """The color of the state."""
        return COLORS.get(self.state, OTHER_COLOR)


def read_context(context: Mapping[str, Any]) -> Event:
    """
    Read what happened from Airflow's context: to a task or a DAG, or a missed deadline or SLA.

    :param context: context as passed to callbacks. Nothing in it is taken for granted.
    """
    ti = None if _is_about_dag(context) else context.get("ti")
    dag_run = context.get("dag_run")
    dag_id = _text(_get(ti, "dag_id") or _get(context.get("dag"), "dag_id") or _get(dag_run, "dag_id"))
    run_id = _text(_get(ti, "run_id") or _run_id(dag_run) or context.get("run_id"))
    task_id = _text(_get(ti, "task_id"))
    state = _state(context, ti)
    title = ".".join(filter(None, (dag_id, task_id))) or "Airflow"
    subject = f"[Airflow] {title}" + (f": {state}" if state else "")
    question = context.get("question")
    facts = (
        ("DAG", dag_id),
        ("Task", task_id + _map_index(ti)),
        ("Run", run_id),
        ("Try", _try(ti)),
        ("Reason", _text(context.get("reason")).replace("_", " ")),
        ("Deadline", _text(_get(context.get("deadline"), "deadline_time"))),
        ("Tasks", _text(context.get("task_list"))),
        ("Question", _text(_get(question, "subject"))),
    )
    log_url, question_url = _text(_get(ti, "log_url")), _text(_get(question, "url"))
    return Event(
        subject=subject[:MAX_SUBJECT_LENGTH],
        title=title,
        state=state,
        facts=tuple((label, value) for label, value in facts if value),
        exception=_exception_text(context.get("exception")),
        link=question_url or log_url or (dag_run_url(dag_id, run_id) if dag_id and run_id else ""),
        link_text="Answer" if question_url else "Open the log" if log_url else "Open the run",
        failure=_failure(context, ti, dag_id, run_id, state),
    )


def is_about_failure(context: Mapping[str, Any]) -> bool:
    """Return whether a task or a DAG has failed; the DAG processor and DAGs pass no exception."""
    return context.get("exception") is not None or read_context(context).state in FAILURES


def as_html(event: Event) -> str:
    """Write the mail in HTML."""
    return _html_template().render(event=event)


def as_text(event: Event) -> str:
    """Write the mail as plain text."""
    lines = [f"{event.title}: {event.state}" if event.state else event.title, ""]
    lines += [f"{label}: {value}" for label, value in event.facts]
    for part in (event.exception, event.link):
        lines += ["", part] if part else []
    return "\n".join(lines)


@cache
def _html_template() -> jinja2.Template:
    import jinja2

    loader = jinja2.PackageLoader("airflow_provider_bigin.notifications")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("default_mail.html")


def _is_about_dag(context: Mapping[str, Any]) -> bool:
    """Return whether this is a DAG's callback: it has a reason, and an arbitrary task instance."""
    return "reason" in context


def _run_id(dag_run: Any) -> Any:
    """Return the run's id, which has another name in the REST API's representation of a run."""
    return _get(dag_run, "run_id") or _get(dag_run, "dag_run_id")


def _state(context: Mapping[str, Any], ti: Any) -> str:
    if "question" in context:
        return "waiting for an answer"
    if "deadline" in context:
        return "deadline missed"
    if "task_list" in context:
        return "SLA missed"
    if _is_about_dag(context):
        return "success" if context["reason"] == "success" else "failed"
    state = _get(ti, "state")
    if ti is not None and state is None:
        # Airflow 3's DAG processor, which only calls for tasks that failed without a word, does not pass it.
        return "up for retry" if _has_retries_left(ti) else "failed"
    return _text(getattr(state, "value", state)).replace("_", " ")


def _has_retries_left(ti: Any) -> bool:
    number, max_tries = _get(ti, "try_number"), _get(ti, "max_tries")
    return isinstance(number, int) and isinstance(max_tries, int) and number <= max_tries


def _failure(
    context: Mapping[str, Any], ti: Any, dag_id: str, run_id: str, state: str
) -> tuple[str | int, ...]:
    """Return what identifies a failure; empty if it is none, or Airflow says too little to identify it."""
    if state not in FAILURES:
        return ()
    which: list[Any] = [dag_id, run_id]
    if ti is None:
        which += [_get(context.get("dag_run"), "clear_number")]  # a run that is cleared may fail again
    else:
        map_index = _get(ti, "map_index")
        which += [_get(ti, "task_id"), -1 if map_index is None else map_index, _get(ti, "try_number")]
    return () if None in which or "" in which else (*which, state)


def _try(ti: Any) -> str:
    number, max_tries = _get(ti, "try_number"), _get(ti, "max_tries")
    if not isinstance(number, int) or number < 1:
        return ""
    # `max_tries` counts the retries.
    return (
        f"{number} of {max_tries + 1}"
        if isinstance(max_tries, int) and max_tries >= number - 1
        else str(number)
    )


def _map_index(ti: Any) -> str:
    index = _get(ti, "map_index")
    return f" [{index}]" if isinstance(index, int) and index >= 0 else ""


def _exception_text(exception: Any) -> str:
    """Return the exception in one line, without traceback or secrets; the log has the rest."""
    if exception is None:
        return ""
    name = type(exception).__name__
    try:
        text = f"{name}: {exception}" if isinstance(exception, BaseException) else str(exception)
    except Exception:
        return f"{name}, whose text cannot be read"
    return excerpt(redact(text))  # a secret that is cut or folded would no longer be recognized


def _get(thing: Any, name: str) -> Any:
    """Return an attribute or item; a deadline's context has dicts where a task's has objects."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _text(value: Any) -> str:
    return "" if value is None else one_line(str(value))
