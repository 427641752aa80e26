"""
Which arguments of a task are the DAG author's, and which came from other tasks.

Airflow renders what ``expand_kwargs`` takes from an upstream task, so that a contact whose name is
``{{ conn.bigin_default.password }}`` gets the secret by mail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def is_reference(value: Any) -> bool:
    """Tell whether a value stands for the output of another task: all that Airflow resolves has this."""
    return hasattr(value, "iter_references")


def has_reference(value: Any) -> bool:
    """Tell whether a value, or something in it, stands for the output of another task."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple, set)):
        return any(has_reference(item) for item in value)
    return is_reference(value)


def mapped_from_upstream(task: Any, map_index: int | None, names: Iterable[str]) -> set[str]:
    """
    Name the arguments that a mapped task has from other tasks, through ``expand`` or ``expand_kwargs``.

    In doubt an argument is among them: what is not the author's by evidence is data.

    :param task: one of the mapped task's instances, as Airflow makes it from the mapped operator.
    :param map_index: its number.
    :param names: the arguments that matter.
    """
    dag = task.get_dag()
    mapped = dag and dag.task_dict.get(task.task_id)
    if not hasattr(mapped, "expand_input"):
        return set()  # not mapped; or in a mapped task group, where a reference stands in each argument
    source = mapped.expand_input.value
    if isinstance(source, Mapping):  # expand(): an argument's values are written down, or are an output
        return {name for name in names if not isinstance(source.get(name, ()), (Mapping, Sequence))}
    if isinstance(source, Sequence) and isinstance(source[map_index or 0], Mapping):
        return set()  # expand_kwargs() with rows that are written down
    written = {
        **dag.default_args,
        **(getattr(mapped.task_group, "default_args", None) or {}),
        **mapped.partial_kwargs,
    }
    return {name for name in names if name not in written or getattr(task, name) != written[name]}
