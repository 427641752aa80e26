"""
Which arguments of a task were written by the DAG's author, and which came from other tasks.

Airflow renders what ``expand_kwargs`` takes from an upstream task, so a contact whose name is
``{{ conn.bigin_default.password }}`` would be mailed the secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any


def is_reference(value: Any) -> bool:
    """Return whether a value refers to the output of another task, as all that Airflow resolves do."""
    return hasattr(value, "iter_references")


def has_reference(value: Any) -> bool:
    """Return whether a value, or something in it, refers to the output of another task."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple, set)):
        return any(has_reference(item) for item in value)
    return is_reference(value)


def with_outputs(value: Any, resolve: Callable[[Any], Any]) -> Any:
    """
    Replace the references in a value to outputs of other tasks, and render nothing.

    :param resolve: returns the output that a reference refers to.
    """
    if not has_reference(value):
        return value
    if isinstance(value, Mapping):
        return {key: with_outputs(item, resolve) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [with_outputs(item, resolve) for item in value]
    return resolve(value)


def mapped_from_upstream(task: Any, map_index: int | None, names: Iterable[str]) -> set[str]:
    """
    Return the arguments that a mapped task got from other tasks, through ``expand`` or ``expand_kwargs``.

    When in doubt, include an argument: what is not provably the author's is data.

    :param task: one of the mapped task's instances, as Airflow creates it from the mapped operator.
    :param map_index: map index of that instance.
    :param names: the arguments to consider.
    """
    dag = task.get_dag()
    mapped = dag and dag.task_dict.get(task.task_id)
    if not hasattr(mapped, "expand_input"):
        return set()  # not mapped; or in a mapped task group, where the arguments hold references
    source = mapped.expand_input.value
    if isinstance(source, Mapping):  # expand(): an argument's values are literals or an output
        return {name for name in names if not isinstance(source.get(name, ()), (Mapping, Sequence))}
    if isinstance(source, Sequence) and isinstance(source[map_index or 0], Mapping):
        return set()  # expand_kwargs() with literal rows
    written = {
        **dag.default_args,
        **(getattr(mapped.task_group, "default_args", None) or {}),
        **mapped.partial_kwargs,
    }
    return {name for name in names if name not in written or getattr(task, name) != written[name]}
