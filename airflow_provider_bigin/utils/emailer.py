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
from airflow_provider_bigin.api.records import RecordSearch

if TYPE_CHECKING:
    import os

    from airflow_provider_bigin.api.mail import Address
    from airflow_provider_bigin.api.records import RecordRef
    from airflow_provider_bigin.compose.messages import Completion
    from airflow_provider_bigin.delivery.message import Message
    from airflow_provider_bigin.hooks.bigin import BiginHook

log = logging.getLogger(__name__)

#: Airflow's value of ``[email] email_conn_id`` if it is not set.
UNSET_CONN_ID = "smtp_default"
#: What Airflow passes as the sender if ``[email] from_email`` is not set.
UNSET_SENDER = "airflow@airflow"


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

    Each recipient is looked up among the contacts by address, and the mail is filed there. Those without a
    record of their own share a mail filed under the connection's default record; if it has none, no mail is
    sent at all. Recipients of copies are on the first of these mails.

    :param to: recipients.
    :param subject: at most 1,000 characters.
    :param html_content: at most 100,000 characters.
    :param files: paths of files to attach. A file that the content shows, with ``<img
        src="cid:chart.png">``, becomes an image in the text instead.
    :param dryrun: check everything, find the records, and send nothing.
    :param cc: recipients of a copy.
    :param bcc: recipients of a blind copy.
    :param mime_subtype: not used; Bigin builds the message.
    :param mime_charset: not used; Bigin builds the message.
    :param conn_id: id of the connection; ``bigin_default`` if not given or ``smtp_default``.
    :param from_email: sender; if not given or ``airflow@airflow``, the connection's, or else the account's
        default from-address.
    :param custom_headers: ``Reply-To`` is used; Bigin accepts no others.
    :param kwargs: not used.
    :raises BiginError: if someone got no mail; names each with the reason. If the reason is a missing record,
        no mail was sent at all; otherwise, the others got theirs.
    """
    from airflow_provider_bigin.api.images import image_names
    from airflow_provider_bigin.compose.arguments import MAIL_FIELDS, compose_draft
    from airflow_provider_bigin.compose.messages import Completion
    from airflow_provider_bigin.hooks.bigin import BiginHook
    from airflow_provider_bigin.hooks.paths import to_paths

    fields = {
        **dict.fromkeys(MAIL_FIELDS),
        "module": "Contacts",
        "to": to,
        "subject": subject,
        "content": html_content,
        "cc": cc,
        "bcc": bcc,
        "from_email": _sender(from_email),
        "reply_to": _reply_to(custom_headers),
        "mail_format": "html",
    }
    shown = image_names(str(html_content))
    paths = to_paths(files, "files")
    attached = [path for path in paths if path.name not in shown]
    images = {path.name: path for path in paths if path.name in shown}
    draft = compose_draft(fields, attached, images, may_be_empty=True)
    hook = BiginHook(BiginHook.default_conn_name if conn_id in (None, "", UNSET_CONN_ID) else conn_id)
    completion = Completion(hook)
    completion.check_files(draft)
    drafts = [
        replace(draft, record=record, mail=replace(draft.mail, to=tuple(people)))
        for record, people in _by_record(hook, completion, draft.mail.to).items()
    ]
    if dryrun:
        for each in drafts:
            log.info("Dry run: %r to %s from %s", subject, _names(each.mail.to), each.record)
    else:
        _send(hook, [completion(each) for each in drafts], completion)


def _by_record(
    hook: BiginHook, completion: Completion, recipients: Iterable[Address]
) -> dict[RecordRef, list[Address]]:
    """
    Group recipients by the record to file their mail under.

    :raises BiginError: if some have none; names each with the reason.
    """
    groups: dict[RecordRef, list[Address]] = {}
    failed: dict[Address, BiginError] = {}
    for person in recipients:
        try:
            record = completion.locate(RecordSearch("Contacts", person.email.casefold()))
        except BiginError as error:
            failed[person] = error
            log.warning("The contact with the address %s was not found: %s", person.email, error)
            if not hook.settings.default_record:
                continue
            record = hook.settings.default_record
        groups.setdefault(record, []).append(person)
    if failed and not hook.settings.default_record:
        raise BiginError(
            f"no mail was sent, because connection {hook.bigin_conn_id!r} has no default record for"
            f" {_reasons(failed)}"
        )
    return groups


def _send(hook: BiginHook, messages: Iterable[Message], completion: Completion) -> None:
    """
    Send each message, regardless of the others.

    :raises BiginError: if someone got no mail; names each with the reason.
    """
    from airflow_provider_bigin.delivery.message import post_renewed

    failed: dict[Address, BiginError] = {}
    copies_left = True
    for message in messages:
        mail = message.mail
        if not copies_left:
            mail = replace(mail, cc=(), bcc=())  # nobody gets two copies
        try:
            post_renewed(
                lambda each: hook.post_mail(each.record, each.mail),
                replace(message, mail=mail),
                completion.renew,
            )
        except BiginError as error:
            failed.update(dict.fromkeys(mail.to, error))
            copies_left = copies_left and error.sent == "no"
        else:
            copies_left = False
    if failed:
        raise BiginError(f"not mailed: {_reasons(failed)}")


def _sender(from_email: str | None) -> Address | None:
    from airflow_provider_bigin.api.mail import parse_address

    sender = parse_address(from_email, "from_email")
    return None if sender and sender.email.casefold() == UNSET_SENDER else sender


def _reply_to(headers: Mapping[str, Any] | None) -> Any:
    known = {name.casefold(): value for name, value in (headers or {}).items()}
    reply_to = known.pop("reply-to", None)
    if known:
        log.warning("Bigin does not accept custom headers; left out: %s", ", ".join(sorted(known)))
    return reply_to


def _names(people: Iterable[Address]) -> str:
    return ", ".join(str(person) for person in people)


def _reasons(failed: Mapping[Address, BiginError]) -> str:
    return "; ".join(f"{person.email} ({error})" for person, error in failed.items())
