"""``clean``: remove the state that failed tasks leave in Airflow Variables, before Airflow 3.3."""

from __future__ import annotations

import json
import time
from argparse import Namespace
from collections import defaultdict
from datetime import datetime, timezone
from typing import NamedTuple

from airflow_provider_bigin.cli.confirmation import is_confirmed
from airflow_provider_bigin.delivery.state import read_head
from airflow_provider_bigin.delivery.store import VARIABLE_PREFIX
from airflow_provider_bigin.version_compat import delete_database_variable

SECONDS_PER_DAY = 86400


class State(NamedTuple):
    """
    The state that a task instance has left.

    :param description: names DAG, run and task.
    :param run_start: when its run began, in epoch seconds; None if that cannot be read.
    :param keys: keys of its Variables.
    """

    description: str
    run_start: float | None
    keys: list[str]

    def __str__(self) -> str:
        start = self.run_start
        day = "unknown" if start is None else datetime.fromtimestamp(start, timezone.utc).date().isoformat()
        return f"{day:10}  {''.join(filter(str.isprintable, self.description))}"


def clean(options: Namespace) -> None:
    """Remove the state that tasks of old runs have left, after listing it and asking."""
    begun_before = time.time() - options.older_than * SECONDS_PER_DAY
    states = [state for state in find_states() if (state.run_start or 0.0) < begun_before]
    if not states:
        print(f"No run that began more than {options.older_than} days ago has left any state.")
        return
    print("Began on    Left", *states, sep="\n")
    if not (options.yes or _is_confirmed(len(states))):
        raise SystemExit("Nothing was removed.")
    for state in states:
        for key in state.keys:
            delete_database_variable(key)
    print(f"Removed the state of {len(states)} tasks, {sum(len(state.keys) for state in states)} Variables.")


def find_states() -> list[State]:
    """Return the state that all tasks have left, oldest first."""
    from airflow.models import Variable
    from airflow.utils.session import create_session
    from sqlalchemy import select

    keys: defaultdict[str, list[str]] = defaultdict(list)
    descriptions: dict[str, str] = {}
    starts: dict[str, float | None] = {}
    with create_session() as session:
        ours = select(Variable).where(Variable.key.startswith(VARIABLE_PREFIX, autoescape=True))
        for variable in session.scalars(ours.order_by(Variable.key)):
            head, _, segment = variable.key.partition("_segment.")
            keys[head].append(variable.key)
            descriptions.setdefault(head, variable.description or head)
            if not segment:
                starts[head] = _run_start(variable.val)
    states = [State(descriptions[head], starts.get(head), keys[head]) for head in keys]
    return sorted(states, key=lambda state: state.run_start or 0.0)


def _run_start(text: str | None) -> float | None:
    """Return when a run began, from the state that one of its tasks has left."""
    try:
        head = read_head(json.loads(text or ""))
    except (ValueError, RecursionError):
        return None
    return head.run_start if head else None


def _is_confirmed(number: int) -> bool:
    print("A task whose state is removed sends all its mails again if somebody clears it.")
    return is_confirmed(f"Remove the state of {number} tasks?")
