"""
A mail as Bigin's *Send mail* accepts it: addresses, limits, times and the JSON body.

Everything here is pure: any :class:`Mail` that exists may be sent.

See https://www.bigin.com/developer/docs/apis/v2/send-mail.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.text import BIDI_CONTROLS, one_line, quoted

# Zoho documents these for the CRM (https://github.com/zoho/crm-oas, v8.0 send_mail); Bigin runs on the same
# platform.
MAX_RECIPIENTS = 50
MAX_SUBJECT_LENGTH = 1000
MAX_CONTENT_LENGTH = 100_000
MAX_ADDRESS_LENGTH = 255
#: Of an address as people write it: with a name, in which each character may be escaped.
MAX_WRITTEN_LENGTH = 4 * MAX_ADDRESS_LENGTH
MAX_ATTACHMENTS = 10
#: Characters of addresses in the subject of a redirected mail; there is always room for one address.
MAX_NAMED_LENGTH = 2 * MAX_ADDRESS_LENGTH
MAX_ATTACHMENT_ID_LENGTH = 255
MAIL_FORMATS = ("html", "text")


@dataclass(frozen=True)
class Address:
    """One mailbox; ``name`` is what mail clients show."""

    email: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email

    def as_json(self) -> dict[str, str]:
        """Return the object that the API accepts."""
        return {"user_name": self.name, "email": self.email} if self.name else {"email": self.email}


@dataclass(frozen=True)
class Mail:
    """
    A mail that is ready to be sent; build it with :meth:`compose`, which accepts what people write.

    ``sender`` is the API's ``from``, None until it is known; the other fields have the API's names.
    """

    sender: Address | None
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: Address | None = None
    subject: str = ""
    content: str = ""
    mail_format: str = "html"
    org_email: bool = False
    scheduled_time: str | None = None
    attachments: tuple[str, ...] = ()

    @classmethod
    def compose(
        cls,
        *,
        from_email: Any = None,
        to: Any,
        cc: Any = None,
        bcc: Any = None,
        reply_to: Any = None,
        subject: Any = None,
        content: Any = None,
        mail_format: str = "html",
        org_email: bool = False,
        scheduled_time: datetime | str | None = None,
        attachments: Any = None,
    ) -> Mail:
        """
        Check and convert what people write.

        :param from_email: sender, one address; see :func:`parse_addresses` for the forms an address may have.
        :param to: recipients, one or more addresses.
        :param cc: recipients of a copy.
        :param bcc: recipients of a copy that the others do not see.
        :param reply_to: one address that replies go to.
        :param subject: at most 1,000 characters; line breaks become spaces.
        :param content: at most 100,000 characters.
        :param mail_format: ``html`` or ``text``.
        :param org_email: send from the organization's address, through Zoho's servers.
        :param scheduled_time: when to send: an aware datetime or ISO 8601 text with offset; immediately if
            not given.
        :param attachments: ids of uploaded files.
        :raises BiginValidationError: naming the field and the offending part.
        """
        mail = cls(
            sender=parse_address(from_email, "from_email"),
            to=_recipients(to, "to"),
            cc=_recipients(cc, "cc"),
            bcc=_recipients(bcc, "bcc"),
            reply_to=parse_address(reply_to, "reply_to"),
            subject=one_line(_text(subject, "subject", MAX_SUBJECT_LENGTH)),
            content=_text(content, "content", MAX_CONTENT_LENGTH),
            mail_format=_mail_format(mail_format),
            org_email=parse_bool(org_email, "org_email"),
            scheduled_time=parse_scheduled_time(scheduled_time),
            attachments=_attachment_ids(attachments),
        )
        if not mail.to:
            raise BiginValidationError("to: a mail needs at least one recipient")
        return mail

    @property
    def summary(self) -> str:
        """One line that says what is sent, without the recipients' addresses."""
        number = len(self.to) + len(self.cc) + len(self.bcc)
        people = f"{number} recipient{'s' if number > 1 else ''}"
        time = f", scheduled for {self.scheduled_time}" if self.scheduled_time else ""
        return f"{self.subject!r} from {self.sender or 'the default from-address'} to {people}{time}"

    def redirected(self, address: Address) -> Mail:
        """
        Return the mail redirected to a single address; its subject begins with whom it was for.

        :param address: who gets it; a mail that was for this address alone keeps its subject.
        """
        emails = [person.email for person in (*self.to, *self.cc, *self.bcc)]
        is_for_others = any(email.casefold() != address.email.casefold() for email in emails)
        subject = f"[for {_some_of(emails)}] {self.subject}" if is_for_others else self.subject
        return replace(self, to=(address,), cc=(), bcc=(), subject=subject[:MAX_SUBJECT_LENGTH])

    def as_json(self) -> dict[str, Any]:
        """Return the API's object for this mail, without fields that are not set."""
        sent = {
            "from": self.sender.as_json() if self.sender else None,
            "to": [address.as_json() for address in self.to],
            "cc": [address.as_json() for address in self.cc],
            "bcc": [address.as_json() for address in self.bcc],
            "reply_to": self.reply_to.as_json() if self.reply_to else None,
            "subject": self.subject,
            "content": self.content,
            "mail_format": self.mail_format,
            "org_email": self.org_email,
            "scheduled_time": self.scheduled_time,
            "attachments": [{"id": file_id} for file_id in self.attachments],
        }
        return {name: value for name, value in sent.items() if value}


def parse_addresses(value: Any, field: str) -> tuple[Address, ...]:
    """
    Read addresses in any form in which people and upstream tasks write them.

    :param value: ``"Name <a@b.c>"``, several of these separated by commas or semicolons (quote a name that
        contains one), the API's ``{"user_name": ..., "email": ...}``, an :class:`Address`, or a list of any
        of these. None and ``""`` mean no address.
    :param field: the name of the argument, for the error.
    :raises BiginValidationError: quoting the part that is not a valid address.
    """
    if value is None:
        return ()
    if isinstance(value, Address):
        return (value,)
    if isinstance(value, str):
        _refuse_rendered_list(value, field)
        return tuple(_parse_address(part, field) for part in _split(value) if part.strip())
    if isinstance(value, Mapping):
        return (_address_from_mapping(value, field),)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        try:
            return tuple(address for part in value for address in parse_addresses(part, field))
        except RecursionError:
            raise BiginValidationError(f"{field}: its lists are nested too deeply") from None
    raise BiginValidationError(f"{field}: {quoted(value)} is not a valid e-mail address")


def parse_address(value: Any, field: str) -> Address | None:
    """
    Read the one address that a field may have, in any form of :func:`parse_addresses`; None if it has none.

    :raises BiginValidationError: if it is not a valid address, or there are several.
    """
    addresses = parse_addresses(value, field)
    if len(addresses) > 1:
        raise BiginValidationError(f"{field}: {quoted(value)} must be one address, not {len(addresses)}")
    return addresses[0] if addresses else None


def parse_scheduled_time(value: datetime | str | None) -> str | None:
    """
    Convert a time to the form that Bigin accepts: ISO 8601 with offset and without fractions.

    A time that cannot be read is an error and never left out, because a mail without one is sent immediately.

    :raises BiginValidationError: if the time cannot be read or has no offset.
    """
    if value is None or value == "":
        return None
    time = value
    if isinstance(time, str):
        try:
            # Python 3.10 does not parse the "Z" of RFC 3339.
            time = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", time.strip()))
        except ValueError:
            raise BiginValidationError(
                f"scheduled_time: {quoted(value)} is not a valid ISO 8601 time, such as"
                " 2026-12-24T18:00:00+01:00"
            ) from None
    if not isinstance(time, datetime):
        raise BiginValidationError(f"scheduled_time: {quoted(value)} is neither a datetime nor ISO 8601 text")
    if time.utcoffset() is None:
        raise BiginValidationError(
            f"scheduled_time: {value!r} has no offset from UTC; add one, as in 2026-12-24T18:00:00+01:00"
        )
    return time.isoformat(timespec="seconds")


def parse_bool(value: Any, field: str) -> bool:
    """Read a boolean, which templates turn into text."""
    if isinstance(value, bool):
        return value
    known = {
        "true": True,
        "1": True,
        "yes": True,
        "false": False,
        "0": False,
        "no": False,
        "none": False,
        "": False,
    }
    try:
        return known[str(value).strip().lower()]
    except Exception:  # it is unknown, or cannot be converted to text
        raise BiginValidationError(f"{field}: {quoted(value)} is neither true nor false") from None


def _recipients(value: Any, field: str) -> tuple[Address, ...]:
    distinct: dict[str, Address] = {}  # a person named twice gets one mail
    for address in parse_addresses(value, field):
        distinct.setdefault(address.email.casefold(), address)
    if len(distinct) > MAX_RECIPIENTS:
        raise BiginValidationError(f"{field}: {len(distinct)} addresses, but Bigin allows {MAX_RECIPIENTS}")
    return tuple(distinct.values())


def _some_of(emails: Sequence[str]) -> str:
    """List as many addresses as a subject has room for, and say how many more there are."""
    named = [emails[0]]
    for email in emails[1:]:
        if len(", ".join([*named, email])) > MAX_NAMED_LENGTH:
            break
        named.append(email)
    more = len(emails) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _split(text: str) -> list[str]:
    """Split at commas and semicolons that are neither in quotes nor in angle brackets."""
    parts, start, quoted, bracketed, escaped = [], 0, False, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in "<>":
            bracketed = character == "<"
        elif not quoted and not bracketed and character in ",;":
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


# No part may begin with what the part before it may end in, so the work is linear in the length.
_NAMED_ADDRESS = re.compile(
    r'(?:"(?P<quoted>(?:[^"\\]|\\.)*)"\s*|(?P<plain>[^"<>]*))<(?P<email>[^<>]*)>', re.DOTALL
)
# One "@" with something on both sides, nothing that ends a header or a mailbox; the server checks the rest.
_MAILBOX_PART = rf"[^\s@<>\"(),;:\\\[\]\x00-\x1f\x7f-\x9f{BIDI_CONTROLS}]+"
_EMAIL = re.compile(f"{_MAILBOX_PART}@{_MAILBOX_PART}")


def _parse_address(part: str, field: str) -> Address:
    part = part.strip()
    if len(part) > MAX_WRITTEN_LENGTH:
        raise BiginValidationError(
            f"{field}: {part[:40]!r}... has {len(part):,} characters, which is too long for an address"
        )
    named = _NAMED_ADDRESS.fullmatch(part)
    if not named:
        return _address(part, "", field, part)
    quoted = named["quoted"]
    name = re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL) if quoted is not None else named["plain"]
    return _address(named["email"], name, field, part)


def _address_from_mapping(value: Mapping[str, Any], field: str) -> Address:
    if not isinstance(value.get("email"), str):
        raise BiginValidationError(
            f'{field}: {quoted(value)} does not have the form {{"user_name": ..., "email": ...}}'
        )
    return _address(value["email"], value.get("user_name") or "", field, value["email"])


def _address(email: str, name: Any, field: str, written: str) -> Address:
    email = email.strip()
    if not _EMAIL.fullmatch(email):
        raise BiginValidationError(f"{field}: {quoted(written)} is not a valid e-mail address")
    if not isinstance(name, str):
        raise BiginValidationError(
            f"{field}: the name of {quoted(email)} is {quoted(name)}, which is not text"
        )
    name = name.strip()
    for what, text in (("address", email), ("name", name)):
        if len(text) > MAX_ADDRESS_LENGTH:
            raise BiginValidationError(
                f"{field}: the {what} {text[:40]!r}... has {len(text)} characters, but Bigin allows"
                f" {MAX_ADDRESS_LENGTH}"
            )
    return Address(_writable(email, field), one_line(_writable(name, field)))


def _refuse_rendered_list(text: str, field: str) -> None:
    stripped = text.strip()
    if stripped[:1] + stripped[-1:] in ("[]", "{}"):
        raise BiginValidationError(
            f"{field}: {quoted(text)} is a list that a template turned into text; join it in the template"
            " (`{{ addresses | join(',') }}`), or set render_template_as_native_obj=True on the DAG"
        )


def _text(value: Any, field: str, limit: int) -> str:
    try:
        text = "" if value is None else str(value)
    except Exception as error:
        raise BiginValidationError(f"{field}: {quoted(value)} cannot be converted to text") from error
    if len(text) > limit:
        raise BiginValidationError(f"{field}: {len(text):,} characters, but Bigin allows {limit:,}")
    return _writable(text, field)


def _writable(text: str, field: str) -> str:
    if not text.isascii() and re.search(r"[\ud800-\udfff]", text):
        raise BiginValidationError(f"{field}: {text[:40]!a} contains half a character (a lone surrogate)")
    return text


def _mail_format(value: Any) -> str:
    if value not in MAIL_FORMATS:
        raise BiginValidationError(f"mail_format: {quoted(value)} must be one of {', '.join(MAIL_FORMATS)}")
    return str(value)


def _attachment_ids(value: Any) -> tuple[str, ...]:
    if isinstance(value, (str, Mapping)):
        value = [value]
    elif value is not None and not isinstance(value, Iterable):
        raise BiginValidationError(
            f"attachments: {quoted(value)} is not a valid list of ids of uploaded files"
        )
    ids = list(value or ())
    checked = tuple(_attachment_id(item) for item in ids if item != "")
    if len(checked) > MAX_ATTACHMENTS:
        raise BiginValidationError(f"attachments: {len(checked)} files, but Bigin allows {MAX_ATTACHMENTS}")
    return checked


def _attachment_id(value: Any) -> str:
    file_id = value.get("id") if isinstance(value, Mapping) else value
    if not isinstance(file_id, str) or not 0 < len(file_id) <= MAX_ATTACHMENT_ID_LENGTH:
        raise BiginValidationError(
            f"attachments: {quoted(value)} is not a valid id of an uploaded file (text of at most"
            f" {MAX_ATTACHMENT_ID_LENGTH} characters)"
        )
    return _writable(file_id, "attachments")
