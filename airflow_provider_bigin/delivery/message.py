"""What is delivered: a mail and the record it is sent from, before and after the requests it takes."""

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
    A mail as far as it is known without making a request.

    :param record: record that it is filed under, or how to find it.
    :param mail: the checked mail, possibly without a sender.
    :param files: files to upload and attach.
    :param images: images to upload and show in the content, keyed by their names in it.
    """

    record: RecordRef | RecordSearch
    mail: Mail
    files: tuple[File, ...] = ()
    images: Mapping[str, File] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """
    A mail that is ready to send.

    :param record: record that it is filed under.
    :param mail: the mail to send.
    :param files: files that were uploaded for it; their ids are its last attachments.
    """

    record: RecordRef
    mail: Mail
    files: tuple[File, ...] = ()


class Batch(Protocol):
    """The mails of one task, built one at a time. Its methods are called from several threads."""

    def __len__(self) -> int:
        """Return how many mails there are."""

    def row(self, position: int) -> str:
        """
        Return what tells a mail from the others in the batch, the same in all tries and processes.

        Never raises.
        """

    def record(self, position: int) -> RecordRef | None:
        """Return the record of a mail if it is known without building the mail. Never raises."""

    def draft(self, position: int) -> Draft:
        """
        Build a mail as far as possible without making a request.

        :raises Exception: whatever is wrong with it; only this mail fails.
        """

    def locate(self, record: RecordRef | RecordSearch) -> RecordRef:
        """
        Return a record, searching for it if necessary.

        :raises BiginError: if it is not found, or is not the only one.
        """

    def complete(self, draft: Draft) -> Message:
        """
        Make the requests that a mail needs before it is sent: record search, uploads, default sender.

        :raises Exception: whatever is wrong with the mail, or with Bigin.
        """

    def renew(self, message: Message) -> Message:
        """
        Upload the files of a mail again.

        :raises BiginError: if that fails.
        :raises OSError: if a file can no longer be read.
        """


def post_renewed(
    post: Callable[[Message], Answer], message: Message, renew: Callable[[Message], Message]
) -> Answer:
    """
    Post a mail, and once more with its files uploaded again if Bigin refuses the id of one.

    Such a response means that the mail was certainly not sent.
    """
    try:
        return post(message)
    except BiginFileRefusedError:
        if not message.files:
            raise
    return post(renew(message))
