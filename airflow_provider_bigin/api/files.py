"""Files to attach: their number and sizes are checked before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.mail import MAX_ATTACHMENTS

MAX_FILE_SIZE = 20 * 1024 * 1024
#: For all attachments of one mail together; Zoho documents this limit for the CRM.
MAX_ATTACHMENTS_SIZE = 10 * 1024 * 1024


class File(Protocol):
    """The parts of ``pathlib.Path`` that are used; Airflow's ``ObjectStoragePath`` has them too."""

    @property
    def name(self) -> str:
        """The last part of the path."""

    def is_file(self) -> bool:
        """Return whether there is such a file."""

    def stat(self) -> Any:
        """Return an object with the file's ``st_size``."""

    def open(self, mode: str) -> IO[Any]:
        """Open the file."""


def check_attachable(
    files: Sequence[File], *, images: Iterable[File] = (), already_attached: int = 0
) -> None:
    """
    Refuse files that Bigin would not attach to one mail, or show in it.

    :param files: files to upload.
    :param images: images to show in the text.
    :param already_attached: the number of the mail's other attachments.
    :raises BiginValidationError: naming the file, its size and the limit.
    """
    number = len(files) + already_attached
    if number > MAX_ATTACHMENTS:
        raise BiginValidationError(f"files: {number} attachments, but Bigin allows {MAX_ATTACHMENTS}")
    total = sum(checked_size(file) for file in files)
    if total > MAX_ATTACHMENTS_SIZE:
        raise BiginValidationError(
            f"files: {total:,} bytes in total, but Bigin allows {MAX_ATTACHMENTS_SIZE:,} per mail"
        )
    for image in images:
        checked_size(image, "images")


def checked_size(file: File, field: str = "files") -> int:
    """
    Return the size in bytes of a file that Bigin accepts.

    :param field: the name of the argument, for the error.
    :raises BiginValidationError: if it is missing, empty or too large.
    """
    try:
        size = int(file.stat().st_size) if file.is_file() else None
    except OSError as error:
        raise BiginValidationError(
            f"{field}: {str(file)!r} cannot be read ({error.strerror or type(error).__name__})"
        ) from None
    if size is None:
        raise BiginValidationError(f"{field}: there is no file {str(file)!r}{_relative_to(file)}")
    if size == 0:
        raise BiginValidationError(f"{field}: {str(file)!r} is empty, and Bigin does not accept empty files")
    if size > MAX_FILE_SIZE:
        raise BiginValidationError(
            f"{field}: {str(file)!r} has {size:,} bytes, but Bigin allows {MAX_FILE_SIZE:,}"
        )
    return size


def _relative_to(file: File) -> str:
    """Explain what a relative local path is relative to."""
    is_relative = isinstance(file, Path) and not file.is_absolute()
    return f"; the path is relative to the worker's directory, {str(Path.cwd())!r}" if is_relative else ""
