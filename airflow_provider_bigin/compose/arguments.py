"""The fields of a mail, and the checked draft that is built from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.errors import BiginValidationError

if TYPE_CHECKING:
    from airflow_provider_bigin.api.files import File
    from airflow_provider_bigin.delivery.message import Draft

#: The arguments that make up a mail, in the operators, the notifier, and rows alike.
MAIL_FIELDS = (
    "record_id",
    "module",
    "to",
    "cc",
    "bcc",
    "from_email",
    "reply_to",
    "subject",
    "content",
    "mail_format",
    "org_email",
    "scheduled_time",
    "attachments",
    "files",
    "images",
)


def mail_arguments(holder: Any) -> dict[str, Any]:
    """Return the fields of a mail from the attributes of an operator or notifier."""
    return {name: getattr(holder, name) for name in MAIL_FIELDS}


def compose_draft(
    fields: Mapping[str, Any],
    files: Sequence[File],
    images: Mapping[str, File],
    *,
    may_be_empty: bool = False,
) -> Draft:
    """
    Check the fields of a mail and build its draft, without making any request.

    :param fields: :data:`MAIL_FIELDS`; ``files`` and ``images`` are ignored. Without a ``record_id``, the
        mail is filed under the record of the first recipient.
    :param files: files to upload and attach.
    :param images: images to upload and show, keyed by their names in the content.
    :param may_be_empty: whether a mail without content is allowed.
    :raises BiginValidationError: if a field is invalid; names the field and the offending part.
    """
    from airflow_provider_bigin.api.mail import Mail
    from airflow_provider_bigin.api.records import RecordSearch, parse_module, read_record
    from airflow_provider_bigin.compose.images import check_images
    from airflow_provider_bigin.delivery.message import Draft

    others = ("record_id", "module", "files", "images")
    mail = Mail.compose(**{name: fields[name] for name in MAIL_FIELDS if name not in others})
    if not mail.content.strip() and not may_be_empty:
        raise BiginValidationError("content: it is empty; pass the text of the mail or a template file")
    check_images(mail, images)
    record = (
        RecordSearch(parse_module(fields["module"]), mail.to[0].email.casefold())
        if fields["record_id"] in (None, "")
        else read_record(fields["module"], fields["record_id"])
    )
    return Draft(record, mail, tuple(files), images)
