"""
Backend for Airflow's e-mail alerts.

.. code-block:: ini

    [email]
    email_backend = airflow_provider_bigin.utils.emailer.send_email
    email_conn_id = bigin_default
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.errors import BiginError

if TYPE_CHECKING:
    import os

    from airflow_provider_bigin.api.mail import Address, Mail
    from airflow_provider_bigin.hooks.bigin import BiginHook

log = logging.getLogger(__name__)

#: Airflow's value of ``[email] email_conn_id`` where nobody has set it.
UNSET_CONN_ID = "smtp_default"
#: What Airflow passes as sender where ``[email] from_email`` is not set.
UNSET_SENDER = "airflow@airflow"

Record = tuple[str, str]


def send_email(
    to: str | Iterable[str],
    subject: str,
    html_content: str,
    files: Sequence[str | os.PathLike[str]] | None = None,
    dryrun: bool = False,
    cc: str | Iterable[str] | None = None,
    bcc: str | Iterable[str] | None = None,
    mime_subtype: str = "mixed",
    mime_charset: str = "utf-8",
    conn_id: str | None = None,
    from_email: str | None = None,
    custom_headers: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> None:
    """
    Send a mail through Bigin, with the signature of Airflow's e-mail backends.

    Each recipient is looked up among the contacts by address, and the mail filed there; those who are no
    contacts share a mail filed under the connection's default record. Recipients of copies are on the first
    of these mails.

    :param to: recipients.
    :param subject: at most 1,000 characters.
    :param html_content: at most 100,000 characters.
    :param files: paths of files to attach.
    :param dryrun: check everything, find the records, and send nothing.
    :param cc: recipients of a copy.
    :param bcc: recipients of a copy whom the others do not see.
    :param mime_subtype: not used; Bigin makes the message.
    :param mime_charset: not used; Bigin makes the message.
    :param conn_id: id of the connection; ``bigin_default`` if not given, or ``smtp_default``.
    :param from_email: sender; the connection's, else the account's default from-address, if not given, or
        ``airflow@airflow``.
    :param custom_headers: ``Reply-To`` is used; Bigin takes no others.
    :param kwargs: not used.
    :raises BiginError: naming all recipients who got no mail, each with the reason. The others got theirs.
    """
    from airflow_provider_bigin.api.files import check_attachable
    from airflow_provider_bigin.api.mail import Mail
    from airflow_provider_bigin.hooks.bigin import BiginHook
    from airflow_provider_bigin.utils.paths import to_paths

    mail = Mail.compose(
        to=to,
        subject=subject,
        content=html_content,
        cc=cc,
        bcc=bcc,
        from_email=_sender(from_email),
        reply_to=_reply_to(custom_headers),
    )
    paths = to_paths(files, "files")
    check_attachable(paths)
    hook = BiginHook(BiginHook.default_conn_name if conn_id in (None, "", UNSET_CONN_ID) else conn_id)
    groups, failed = _by_record(hook, mail.to)
    if dryrun:
        for (module, record_id), people in groups.items():
            log.info("Dry run: %r to %s from %s %s", mail.subject, _names(people), module, record_id)
    elif groups:
        complete = replace(hook.with_sender(mail), attachments=tuple(hook.get_conn().upload_files(paths)))
        failed.update(_send_to_groups(hook, complete, groups))
    if failed:
        raise BiginError(f"not mailed: {'; '.join(f'{email} ({why})' for email, why in failed.items())}")


def _by_record(
    hook: BiginHook, recipients: Iterable[Address]
) -> tuple[dict[Record, list[Address]], dict[str, str]]:
    """Group recipients by the record to file their mail under; those without one get the reason why."""
    groups: dict[Record, list[Address]] = {}
    failed: dict[str, str] = {}
    for person in recipients:
        record, why = _record_of(hook, person)
        if record:
            groups.setdefault(record, []).append(person)
        else:
            failed[person.email] = why
    return groups, failed


def _record_of(hook: BiginHook, person: Address) -> tuple[Record | None, str]:
    from airflow_provider_bigin.utils.contacts import find_contact

    default = hook.settings.default_record
    try:
        record, why = find_contact(hook, person.email), "no contact has this address"
    except BiginError as error:
        record, why = None, str(error)
        log.warning("The contact with the address %s cannot be looked for: %s", person.email, error)
    if record or default:
        return record or default, ""
    return None, f"{why}, and connection {hook.bigin_conn_id!r} names no default record"


def _send_to_groups(hook: BiginHook, mail: Mail, groups: Mapping[Record, list[Address]]) -> dict[str, str]:
    """Send one mail for each record; return who got none and why."""
    failed: dict[str, str] = {}
    for (module, record_id), people in groups.items():
        try:
            message_id = hook.post_mail(module, record_id, replace(mail, to=tuple(people))).message_id
        except BiginError as error:
            failed.update((person.email, str(error)) for person in people)
            if error.sent == "no":
                continue
        else:
            log.info(
                "%r to %s is mail %s of %s %s.", mail.subject, _names(people), message_id, module, record_id
            )
        mail = replace(mail, cc=(), bcc=())  # nobody gets two copies
    return failed


def _sender(from_email: str | None) -> Address | None:
    from airflow_provider_bigin.api.mail import parse_address

    sender = parse_address(from_email, "from_email")
    return None if sender and sender.email.casefold() == UNSET_SENDER else sender


def _reply_to(headers: Mapping[str, Any] | None) -> Any:
    known = {name.casefold(): value for name, value in (headers or {}).items()}
    reply_to = known.pop("reply-to", None)
    if known:
        log.warning("Bigin takes no headers of one's own; left out: %s", ", ".join(sorted(known)))
    return reply_to


def _names(people: Iterable[Address]) -> str:
    return ", ".join(str(person) for person in people)
