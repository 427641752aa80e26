"""What is delivered: a mail and the record that it is sent from, before and after the requests it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from airflow_provider_bigin.api.errors import BiginFileRefusedError
from airflow_provider_bigin.api.files import File
from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.api.records import RecordRef, RecordSearch

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Draft:
    """
    A mail as far as it is known without a request.

    :param record: what it is filed under, or how that is found.
    :param mail: checked; perhaps without a sender.
    :param files: to be uploaded and attached.
    :param images: to be uploaded and shown in the content, by their names in it.
    """

    record: RecordRef | RecordSearch
    mail: Mail
    files: tuple[File, ...] = ()
    images: Mapping[str, File] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """
    A mail that is ready to leave.

    :param record: what it is filed under.
    :param mail: what leaves.
    :param files: those that were uploaded for it; their ids are its last attachments.
    """

    record: RecordRef
    mail: Mail
    files: tuple[File, ...] = ()


class Batch(Protocol):
    """The mails of one task, made one by one. Its methods are called from several threads."""

    def __len__(self) -> int:
        """Return how many mails there are."""

    def row(self, position: int) -> str:
        """
        Write down what tells a mail from the others of the batch, the same in all tries and processes.

        Never raises.
        """

    def record(self, position: int) -> RecordRef | None:
        """Return the record of a mail if it is known without making the mail. Never raises."""

    def draft(self, position: int) -> Draft:
        """
        Make a mail, as far as that takes no request.

        :raises Exception: whatever is wrong with it; that is this mail's failure, and no other's.
        """

    def locate(self, record: RecordRef | RecordSearch) -> RecordRef:
        """
        Return a record, searched for if need be.

        :raises BiginError: if it is not found, or is not the only one.
        """

    def complete(self, draft: Draft) -> Message:
        """
        Make the requests that a mail needs before it is sent: record search, uploads, default sender.

        :raises Exception: what is wrong with the mail, or with Bigin.
        """

    def renew(self, message: Message) -> Message:
        """
        Upload the files of a mail again.

        :raises BiginError: if that fails.
        :raises OSError: if a file cannot be read any more.
        """


def post_renewed(
    post: Callable[[Message], Answer], message: Message, renew: Callable[[Message], Message]
) -> Answer:
    """
    Post a mail, and once more with its files uploaded again if Bigin refuses the id of one: by that answer
    the mail surely did not leave.
    """
    try:
        return post(message)
    except BiginFileRefusedError:
        if not message.files:
            raise
    return post(renew(message))
