"""Turn drafts into messages; each request is made only once, however many mails need it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.files import File, check_attachable
from airflow_provider_bigin.api.mail import Address
from airflow_provider_bigin.api.records import RecordRef, RecordSearch
from airflow_provider_bigin.compose.images import with_uploaded
from airflow_provider_bigin.compose.records import find_record
from airflow_provider_bigin.compose.single_flight import SingleFlightCache
from airflow_provider_bigin.delivery.message import Draft, Message

if TYPE_CHECKING:
    from airflow_provider_bigin.hooks.bigin import BiginHook

log = logging.getLogger(__name__)

Call = Callable[[Callable[[], Any]], Any]


@dataclass(frozen=True)
class _Named:
    """A file, compared by its name: not all of Airflow's path objects are hashable."""

    name: str
    file: File = field(compare=False)


class Completion:
    """
    Complete drafts: find the record, upload the files, add the default sender.

    Safe to use from several threads.

    :param hook: the hook that searches, uploads, and knows the default sender.
    :param call: makes one call to Bigin; a limiter's ``call`` where several run at a time.
    """

    def __init__(self, hook: BiginHook, call: Call = lambda function: function()) -> None:
        self._find_record: SingleFlightCache[RecordSearch, RecordRef] = SingleFlightCache(
            lambda search: call(partial(find_record, hook, search))
        )
        self._upload_anew: Callable[[_Named], str] = lambda named: call(
            lambda: hook.get_conn().upload_files([named.file])[0]
        )
        #: Once for all mails until Bigin refuses an id, then once for each.
        self._upload: Callable[[_Named], str] = SingleFlightCache(self._upload_anew)
        self._upload_image: SingleFlightCache[_Named, str] = SingleFlightCache(
            lambda named: call(lambda: hook.get_conn().upload_image(named.file))
        )
        self._default_sender: SingleFlightCache[None, Address] = SingleFlightCache(
            lambda _: call(lambda: hook.default_sender)
        )
        self._check: SingleFlightCache[tuple[tuple[_Named, ...], tuple[_Named, ...], int], None] = (
            SingleFlightCache(
                lambda which: check_attachable(
                    [named.file for named in which[0]],
                    images=[named.file for named in which[1]],
                    already_attached=which[2],
                )
            )
        )
        self._warn: SingleFlightCache[str, None] = SingleFlightCache(log.warning)

    def check_files(self, draft: Draft) -> None:
        """
        Check that a draft's files can be attached and its images shown; look at each only once.

        :raises BiginValidationError: if one cannot; names the file.
        """
        self._check((_named(draft.files), _named(draft.images.values()), len(draft.mail.attachments)))

    def locate(self, record: RecordRef | RecordSearch) -> RecordRef:
        """
        Return a record, searching for it if necessary.

        :raises BiginError: if it is not found, or is not the only one.
        """
        return self._find_record(record) if isinstance(record, RecordSearch) else record

    def check(self, draft: Draft) -> Message:
        """
        Complete a draft except for its files and images, which are only checked.

        :raises BiginError: if a file is missing, or no record has the address.
        """
        self.check_files(draft)
        if not draft.mail.subject.strip():
            self._warn("subject: it is empty, so a mail goes out without one.")
        record = self.locate(draft.record)
        mail = draft.mail
        return Message(record, replace(mail, sender=mail.sender or self._default_sender(None)))

    def __call__(self, draft: Draft) -> Message:
        """
        Make the requests that a draft needs.

        :raises BiginError: if one fails, a file is missing, or no record has the address.
        """
        message = self.check(draft)
        mail = with_uploaded(
            message.mail,
            {name: self._upload_image(_Named(str(file), file)) for name, file in draft.images.items()},
        )
        return _with_files(replace(message, mail=mail), draft.files, self._upload)

    def renew(self, message: Message) -> Message:
        """
        Upload a message's files again after Bigin refused an id; later messages get their own ids, too.

        :raises BiginError: if that fails.
        :raises OSError: if a file can no longer be read.
        """
        self._warn(
            "files: Bigin refused the id of an uploaded file; from now on each mail gets its own upload."
        )
        self._upload = self._upload_anew
        kept = message.mail.attachments[: -len(message.files)]
        without = Message(message.record, replace(message.mail, attachments=kept))
        return _with_files(without, message.files, self._upload_anew)


def _with_files(message: Message, files: tuple[File, ...], upload: Callable[[_Named], str]) -> Message:
    uploaded = tuple(map(upload, _named(files)))
    mail = replace(message.mail, attachments=(*message.mail.attachments, *uploaded))
    return replace(message, mail=mail, files=files)


def _named(files: Iterable[File]) -> tuple[_Named, ...]:
    return tuple(_Named(str(file), file) for file in files)
