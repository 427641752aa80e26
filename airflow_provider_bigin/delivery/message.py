"""What is delivered: a mail and the record that it is sent from, before and after the requests it takes."""

from __future__ import annotations

from dataclasses import dataclass

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
