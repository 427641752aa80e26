"""
What is stored about a task's mails: one head and segments of older results, in one format on every Airflow.

The head says which go it belongs to, which mails may have been posted (their intents), and what happened to
the latest others; segments hold the results before those. Whatever is read must be bounded, of the right
types, and exactly as it was written, or it is rejected: people can edit it in Airflow's UI.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import Field, StrictBool, StrictStr, TypeAdapter, ValidationError

from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.identity import Item, digest

#: Incremented when the format changes; what another version stored is rejected.
VERSION: Literal[1] = 1
MAX_TEXT_LENGTH = 500
#: Segments of all goes, each with about 200 results; a head that counts more was edited.
MAX_SEGMENTS = 10_000

Text = Annotated[StrictStr, Field(max_length=MAX_TEXT_LENGTH)]
Number = Annotated[int, Field(strict=True, ge=0, lt=2**31)]
SegmentNumber = Annotated[int, Field(strict=True, ge=0, le=MAX_SEGMENTS)]
Time = Annotated[float, Field(strict=True, ge=0, le=4e9, allow_inf_nan=False)]
Window = tuple[Time, Time]


class Intent(NamedTuple):
    """
    A mail that may be posted, or may have been, as it would appear in its record's list of e-mails.

    :param item: which mail of the go it is.
    :param attempt: number of the try that wrote it.
    :param record: record that it is filed under.
    :param is_marked: whether it carries its marker.
    :param subject: digest, like the next three.
    :param people: recipients that a list shows: ``to`` and ``cc``, never ``bcc``.
    :param content: content without the marker.
    :param scheduled: time for which it is scheduled, if any.
    :param window: time span by Bigin's clock in which it was sent, if it was.
    """

    item: Item
    attempt: Number
    record: RecordRef
    is_marked: StrictBool
    subject: Text
    people: Annotated[tuple[Text, ...], Field(max_length=1000)]
    content: Text
    scheduled: Text | None
    window: Window


class Answer(NamedTuple):
    """
    What a person said about a mail in doubt, valid until the mail is posted again.

    :param row: part of the mail's name, like ``number``.
    :param word: the answer; ``leave`` is valid only until someone clears the task.
    :param attempt: number of the try that received it.
    """

    row: Text
    number: Number
    word: Literal["send", "leave"]
    attempt: Number


class Result(NamedTuple):
    """
    What finally happened to a mail.

    :param status: ``done``, or ``refused``: Bigin will never accept it.
    :param record: record that it is filed under; None if a person says that it was sent and the record is
        unknown.
    :param message_id: id of a mail that is done; None if a person says that it was sent.
    :param error: Bigin's code or the name of an error class.
    :param detail: what else a later try may report; a code or a number, never an address.
    """

    item: Item
    attempt: Number
    status: Literal["done", "refused"]
    record: RecordRef | None
    message_id: Text | None = None
    error: Text | None = None
    detail: Text | None = None


@dataclass(frozen=True)
class Head:
    """
    The state of a go.

    :param go: random identity of the go.
    :param salt: salt of its digests.
    :param max_tries: Airflow's value when this was written, like ``clear_number``.
    :param attempt: number of the try that wrote it.
    :param asked: number of the first try since a person asked.
    :param waiting_since: when a try first waited for a limit since then, in epoch seconds.
    :param complete: whether the task was about to succeed.
    :param damaged: whether an earlier head was lost.
    :param segments: number of its first segment, and of the next one to be written.
    :param owner: who wrote it; used below Airflow 3.3, like the next two.
    :param run: value that tells runs with the same id apart.
    :param run_start: when the run started, in epoch seconds.
    """

    version: Literal[1]
    go: Text
    salt: Text
    max_tries: Annotated[int, Field(strict=True)]
    clear_number: Number
    attempt: Number
    asked: Number
    waiting_since: Time | None
    complete: StrictBool
    damaged: StrictBool
    segments: tuple[SegmentNumber, SegmentNumber]
    open: Annotated[tuple[Intent, ...], Field(max_length=20_000)]
    results: Annotated[tuple[Result, ...], Field(max_length=20_000)]
    answers: Annotated[tuple[Answer, ...], Field(max_length=20_000)]
    owner: Text
    run: Text
    run_start: Time | None


@dataclass(frozen=True)
class Segment:
    """Results that a head counts; it is never changed."""

    version: Literal[1]
    go: Text
    results: Annotated[tuple[Result, ...], Field(max_length=20_000)]


Stored = TypeVar("Stored", Head, Segment)


def read_head(stored: Any) -> Head | None:
    """
    Parse a head; return None if it is not valid.

    :param stored: value from the store; anything may have happened to it.
    """
    return _read(Head, stored)


def read_segment(stored: Any) -> Segment | None:
    """Parse a segment; return None if it is not valid, like :func:`read_head`."""
    return _read(Segment, stored)


def as_json(value: Head | Segment) -> dict[str, Any]:
    """Return what to store."""
    content = _content(value)
    return {**content, "checksum": _checksum(content)}


def text(value: str) -> str:
    """Turn untrusted text into text that can be stored and read again."""
    return value[:MAX_TEXT_LENGTH].encode(errors="replace").decode()


def _read(kind: type[Stored], stored: Any) -> Stored | None:
    try:
        value: Stored = _adapters()[kind].validate_python(stored)
    except (ValidationError, RecursionError):
        return None
    # Computed from the parsed value, since a database may write the same numbers differently.
    return value if stored.get("checksum") == _checksum(_content(value)) else None


def _content(value: Head | Segment) -> dict[str, Any]:
    content: dict[str, Any] = _adapters()[type(value)].dump_python(value, mode="json")
    return content


def _checksum(content: dict[str, Any]) -> str:
    return digest(json.dumps(content, sort_keys=True))


@cache
def _adapters() -> dict[type, TypeAdapter[Any]]:
    return {kind: TypeAdapter(kind) for kind in (Head, Segment)}
