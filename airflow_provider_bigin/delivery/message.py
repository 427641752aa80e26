"""What is delivered: a mail and the record that it is sent from, before and after the requests it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from airflow_provider_bigin.api.files import File
from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.api.records import RecordRef, RecordSearch


@dataclass(frozen=True)
class Draft:
    """
    A mail as far as it is known without a request.

    :param record: what it is filed under, or how that is found.
    :param mail: checked; perhaps without a sender.
    :param files: to be uploaded and attached.
    """

    record: RecordRef | RecordSearch
    mail: Mail
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Message:
    """A mail that is ready to leave, and the record that it is filed under."""

    record: RecordRef
    mail: Mail


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
