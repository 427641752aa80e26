"""The call ``POST /bigin/v2/{module}/{record_id}/actions/send_mail``, with its checks in Bigin's order."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_bigin.sandbox import mails
from airflow_provider_bigin.sandbox.answers import (
    ApiError,
    BiginResponse,
    daily_limit,
    invalid_id,
    invalid_module,
    unknown_file,
)
from airflow_provider_bigin.sandbox.auth import authorize
from airflow_provider_bigin.sandbox.clock import start_of_day
from airflow_provider_bigin.sandbox.records import find_record
from airflow_provider_bigin.sandbox.seed import MODULES
from airflow_provider_bigin.sandbox.state import Sandbox, SandboxOfRequest

router = APIRouter()

SUBJECT_LENGTH = 1000
CONTENT_LENGTH = 100_000
ADDRESS_LENGTH = 255
RECIPIENTS = 50
ATTACHMENTS = 10
ATTACHMENTS_BYTES = 10 * 1024 * 1024

_EMAIL = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+\.[^@\s<>,;\".]+")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
_JSON_TYPES = {dict: "jsonobject", list: "jsonarray", str: "string", bool: "boolean"}


@router.post("/bigin/v2/{module}/{record_id}/actions/send_mail")
async def send_mail(module: str, record_id: str, request: Request, sandbox: SandboxOfRequest) -> Response:
    """Accept a mail."""
    authorize(request, sandbox, "ZohoBigin.send_mail.all.CREATE")
    if module not in MODULES:
        raise invalid_module()
    record = find_record(sandbox.store, module, record_id)
    if record is None:
        raise invalid_id(1)
    raw = await request.body()
    mail = _checked(_item_of(raw))
    sender = _allowed_sender(mail["from"], sandbox)
    files = _checked_files(mail["attachments"], sandbox)
    _check_record(module, record, sandbox)
    now = sandbox.clock.now()
    sent_at = _departure(mail["scheduled_time"], now, sandbox)
    _check_daily_limit(mail, now, sandbox)

    blocked, left = _split_blocked(mail, sandbox)
    message_id = mails.new_id()
    if any(left.values()):
        name = mail["from"].get("user_name") or sender.get("user_name")
        taken = {
            "module": module,
            "record_id": record_id,
            **mail,
            **left,
            "from": {**mail["from"], "user_name": name},
            "attachments": files,
        }
        mails.add(sandbox.store, message_id, taken, raw.decode(), now, sent_at)
    if sandbox.settings.single_use_files:
        for file_id in mail["attachments"]:
            sandbox.store.execute("DELETE FROM file WHERE id = ?", file_id)
    return _success(message_id, blocked, scheduled=sent_at > now)


def _success(message_id: str, blocked: list[dict[str, Any]], *, scheduled: bool) -> Response:
    details: dict[str, Any] = {"message_id": message_id}
    if blocked:
        details["blocked_email_addresses"] = [{"email": a["email"], "reason": "bounced"} for a in blocked]
    result = {
        "code": "SUCCESS",
        "details": details,
        "message": f"Your mail has been {'scheduled' if scheduled else 'sent'} successfully.",
        "status": "success",
    }
    return BiginResponse({"data": [result]})


def _item_of(raw: bytes) -> dict[str, Any]:
    """Return the only mail in a request's body."""
    try:
        body = json.loads(raw.decode())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "INVALID_DATA", "body", {"expected_data_type": "jsonobject"})
    data = body.get("data")
    details: dict[str, Any] = {"expected_data_type": "jsonarray", "api_name": "data"}
    if not isinstance(data, list):
        raise ApiError(400, "INVALID_DATA", "invalid data", details)
    if len(data) != 1:
        details = {"api_name": "data", "json_path": "$.data", "maximum_length": 1}
        raise ApiError(400, "INVALID_DATA", "invalid data", details)
    if not isinstance(data[0], dict):
        raise _invalid("data", "$.data[0]", expected_data_type="jsonobject")
    return data[0]


def _checked(item: dict[str, Any]) -> dict[str, Any]:
    """Return a mail's known fields; unknown ones, such as a misspelled ``schedule_time``, are ignored."""
    for name in ("from", "to"):
        if not item.get(name) and item.get(name, []) in ([], {}):
            raise _missing(name, f"$.data[0].{name}")
    mail: dict[str, Any] = {"from": _address(item["from"], "from", "$.data[0].from")}
    for name in ("to", "cc", "bcc"):
        mail[name] = _addresses(item, name)
    mail["reply_to"] = None
    if "reply_to" in item:
        mail["reply_to"] = _address(item["reply_to"], "reply_to", "$.data[0].reply_to")
    mail["subject"] = _text(item, "subject", SUBJECT_LENGTH)
    mail["content"] = _text(item, "content", CONTENT_LENGTH)
    mail["mail_format"] = _mail_format(item)
    mail["org_email"] = _typed(item.get("org_email", False), bool, "org_email", "$.data[0].org_email")
    mail["scheduled_time"] = _scheduled_time(item)
    mail["attachments"] = _attachment_ids(item)
    return mail


def _addresses(item: dict[str, Any], name: str) -> list[dict[str, Any]]:
    path = f"$.data[0].{name}"
    addresses = _typed(item.get(name, []), list, name, path)
    if len(addresses) > RECIPIENTS:
        raise _invalid(name, path, maximum_length=RECIPIENTS)
    return [_address(address, name, f"{path}[{index}]") for index, address in enumerate(addresses)]


def _address(value: Any, name: str, path: str) -> dict[str, Any]:
    address = _typed(value, dict, name, path)
    for key in ("user_name", "email"):
        if key in address and len(_typed(address[key], str, key, f"{path}.{key}")) > ADDRESS_LENGTH:
            raise _invalid(key, f"{path}.{key}", maximum_length=ADDRESS_LENGTH)
    if not address.get("email"):
        raise _missing("email", f"{path}.email")
    if not _EMAIL.fullmatch(address["email"]):
        raise _invalid("email", f"{path}.email", message="invalid email")
    return {key: address[key] for key in ("user_name", "email") if key in address}


def _text(item: dict[str, Any], name: str, maximum: int) -> str | None:
    if name not in item:
        return None
    path = f"$.data[0].{name}"
    text: str = _typed(item[name], str, name, path)
    if len(text) > maximum:
        raise _invalid(name, path, maximum_length=maximum)
    return text


def _mail_format(item: dict[str, Any]) -> str | None:
    mail_format = item.get("mail_format", "html")
    if mail_format not in ("html", "text"):
        raise _invalid("mail_format", "$.data[0].mail_format", supported_values=["html", "text"])
    return item.get("mail_format")


def _scheduled_time(item: dict[str, Any]) -> str | None:
    if "scheduled_time" not in item:
        return None
    value = item["scheduled_time"]
    try:
        if not _TIME.fullmatch(value):
            raise ValueError(value)
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _invalid("scheduled_time", "$.data[0].scheduled_time", expected_data_type="datetime") from None
    return str(value)


def _attachment_ids(item: dict[str, Any]) -> list[str]:
    attachments = _typed(item.get("attachments", []), list, "attachments", "$.data[0].attachments")
    if len(attachments) > ATTACHMENTS:
        raise _invalid("attachments", "$.data[0].attachments", maximum_length=ATTACHMENTS)
    ids = []
    for index, attachment in enumerate(attachments):
        path = f"$.data[0].attachments[{index}]"
        if "id" not in _typed(attachment, dict, "attachments", path):
            raise _missing("id", f"{path}.id")
        ids.append(_typed(attachment["id"], str, "id", f"{path}.id"))
    return ids


def _allowed_sender(sender: dict[str, Any], sandbox: Sandbox) -> dict[str, Any]:
    for allowed in sandbox.settings.from_addresses:
        if allowed["email"].lower() == sender["email"].lower():
            return allowed
    message = "Email can't be sent using this from address. Kindly check the allowed from address list"
    raise ApiError(400, "INVALID_DATA", message, {"api_name": "from"}, item=True)


def _checked_files(ids: list[str], sandbox: Sandbox) -> list[dict[str, Any]]:
    files = []
    for index, file_id in enumerate(ids):
        row = sandbox.store.row("SELECT id, name, length(content) AS size FROM file WHERE id = ?", file_id)
        if row is None:
            raise unknown_file(index)
        files.append(dict(row))
    if sum(file["size"] for file in files) > ATTACHMENTS_BYTES:
        message = "The total size of the attachments exceeds 10 MB"
        raise ApiError(400, "FILE_SIZE_EXCEEDS", message, {"api_name": "attachments"}, item=True)
    return files


def _check_record(module: str, record: dict[str, Any], sandbox: Sandbox) -> None:
    """Refuse a record whose contact has opted out or has no address; companies are exempt."""
    if module == "Accounts":
        return
    person: dict[str, Any] | None = record
    if module == "Pipelines":
        contact = record.get("Contact_Name") or {}
        person = find_record(sandbox.store, "Contacts", contact.get("id", ""))
    if person is None or not (person.get("Email") or person.get("Secondary_Email")):
        message = "The record has neither a primary nor a secondary email address."
        raise ApiError(400, "NOT_ALLOWED", message, item=True)
    if person.get("Email_Opt_Out"):
        raise ApiError(403, "NO_PERMISSION", "permission denied")


def _departure(scheduled_time: str | None, now: float, sandbox: Sandbox) -> float:
    """Return when the mail leaves: at once for a time in the past, which Bigin does not document."""
    if scheduled_time is None:
        return now
    if not sandbox.settings.scheduling:
        raise ApiError(
            400, "FEATURE_NOT_SUPPORTED", "Scheduling is not available in your edition.", {}, item=True
        )
    return max(now, datetime.fromisoformat(scheduled_time).timestamp())


def _check_daily_limit(mail: dict[str, Any], now: float, sandbox: Sandbox) -> None:
    limit = sandbox.settings.daily_mail_limit
    if limit is None:
        return
    used = mails.addressees_since(sandbox.store, start_of_day(now))
    if used + len(mail["to"]) + len(mail["cc"]) > limit:
        raise daily_limit()


def _split_blocked(
    mail: dict[str, Any], sandbox: Sandbox
) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Return the blocked recipients, and the remaining ones by field."""
    blocked_emails = {email.lower() for email in sandbox.settings.blocked_addresses}
    blocked: list[dict[str, Any]] = []
    left: dict[str, list[dict[str, Any]]] = {"to": [], "cc": [], "bcc": []}
    for kind, recipients in left.items():
        for address in mail[kind]:
            (blocked if address["email"].lower() in blocked_emails else recipients).append(address)
    return blocked, left


def _typed(value: Any, kind: type, name: str, path: str) -> Any:
    if not isinstance(value, kind):
        raise _invalid(name, path, expected_data_type=_JSON_TYPES[kind])
    return value


def _missing(name: str, path: str) -> ApiError:
    details = {"api_name": name, "json_path": path}
    return ApiError(400, "MANDATORY_NOT_FOUND", "required field not found", details, item=True)


def _invalid(name: str, path: str, message: str = "invalid data", **more: Any) -> ApiError:
    return ApiError(400, "INVALID_DATA", message, {"api_name": name, "json_path": path, **more}, item=True)
