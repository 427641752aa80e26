"""The sandbox's responses arrive in the objects of Zoho's own SDK, under their names and in their types."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from zohocrmsdk.src.com.zoho.crm.api import Initializer, ParameterMap
from zohocrmsdk.src.com.zoho.crm.api.email_related_records import (
    EmailRelatedRecordsOperations,
    GetEmailsRelatedRecordsParam,
)
from zohocrmsdk.src.com.zoho.crm.api.files import BodyWrapper as FilesBody
from zohocrmsdk.src.com.zoho.crm.api.files import FilesOperations, GetFileParam
from zohocrmsdk.src.com.zoho.crm.api.from_addresses import FromAddressesOperations
from zohocrmsdk.src.com.zoho.crm.api.modules import ModulesOperations
from zohocrmsdk.src.com.zoho.crm.api.org import OrgOperations
from zohocrmsdk.src.com.zoho.crm.api.record import GetRecordsParam, RecordOperations, SearchRecordsParam
from zohocrmsdk.src.com.zoho.crm.api.send_mail import (
    Attachment,
    BodyWrapper,
    Cc,
    Data,
    From,
    SendMailOperations,
    To,
)
from zohocrmsdk.src.com.zoho.crm.api.users import UsersOperations
from zohocrmsdk.src.com.zoho.crm.api.util import Choice, StreamWrapper

ADA = 5000000000000000101
OPTED_OUT = 5000000000000000103
COMPANY = 5000000000000000201
DEAL = 5000000000000000301


def unfilled(made: Any, told: Any, path: str = "$") -> Iterator[str]:
    """
    Return what a response contains and the SDK's object for it lacks.

    :param made: the SDK's object.
    :param told: the response.
    :param path: its position in the response.
    """
    if isinstance(told, list) and isinstance(made, list) and len(made) == len(told):
        for number, (part, told_part) in enumerate(zip(made, told, strict=True)):
            yield from unfilled(part, told_part, f"{path}[{number}]")
    elif isinstance(told, dict) and told and made is not None:
        parts = parts_of(made)
        for name, value in told.items():
            yield from unfilled(parts.get(name), value, f"{path}.{name}")
    elif made is None and told is not None:
        yield path


def parts_of(made: Any) -> dict[str, Any]:
    """Return the contents of an SDK object by their API names."""
    if isinstance(made, dict):
        return made
    if hasattr(made, "get_key_values"):
        return made.get_key_values()
    kind = type(made)
    members = Initializer.json_details[f"{kind.__module__.rpartition('.')[0]}.{kind.__name__}"]
    return {
        detail["name"]: getattr(made, f"_{kind.__name__}__{member}", None)
        for member, detail in members.items()
        if "name" in detail
    }


def read(response: Any) -> Any:
    """Return the SDK's object for a response and check that nothing is missing."""
    assert list(unfilled(response.get_object(), response.get_response_json())) == []
    return response.get_object()


def parameters(**given: tuple[Any, Any]) -> ParameterMap:
    made = ParameterMap()
    for parameter, value in given.values():
        made.add(parameter, value)
    return made


def mail(**changes: Any) -> BodyWrapper:
    sender, to, copy = From(), To(), Cc()
    sender.set_email("ada@example.com")
    to.set_user_name("Ada Lovelace")
    to.set_email("ada.lovelace@example.org")
    copy.set_email("team@example.com")
    fields = {
        "from": sender,
        "to": [to],
        "cc": [copy],
        "subject": "Hello",
        "content": "<p>Hello</p>",
        "mail_format": Choice("html"),
        **changes,
    }
    data, body = Data(), BodyWrapper()
    for name, value in fields.items():
        getattr(data, f"set_{name}")(value)
    body.set_data([data])
    return body


def send(record_id: int = ADA, module: str = "Contacts", **changes: Any) -> str:
    response = SendMailOperations(record_id, module).send_mail(mail(**changes))
    [result] = read(response).get_data()
    assert result.get_code().get_value() == "SUCCESS"
    return str(result.get_details()["message_id"])


def emails(record_id: int = ADA, module: str = "Contacts", type: str | None = None) -> Any:
    return EmailRelatedRecordsOperations(record_id, module, type)


# ---- the account ----


def test_the_account():
    [organization] = read(OrgOperations().get_organization()).get_org()
    assert organization.get_time_zone() == "Asia/Riyadh"
    [user] = read(UsersOperations().get_users()).get_users()
    assert user.get_email() == "ada@example.com"
    modules = read(ModulesOperations().get_modules()).get_modules()
    assert [module.get_api_name() for module in modules] == ["Contacts", "Accounts", "Pipelines"]


def test_the_addresses_of_the_account(sandbox):
    sandbox.settings(from_addresses_key="from_addresses")  # the CRM's name
    addresses = read(FromAddressesOperations().get_from_addresses()).get_from_addresses()
    assert [address.get_email() for address in addresses] == ["ada@example.com", "team@example.com"]


# ---- records ----


@pytest.mark.parametrize(
    ("module", "record_id"), [("Contacts", ADA), ("Accounts", COMPANY), ("Pipelines", DEAL)]
)
def test_a_record(module, record_id):
    [record] = read(RecordOperations(module).get_record(record_id)).get_data()
    assert record.get_id() == record_id
    assert record.get_created_time().tzinfo is not None
    assert record.get_key_value("Owner").get_email() == "ada@example.com"


def test_the_types_of_its_fields():
    [deal] = read(RecordOperations("Pipelines").get_record(DEAL)).get_data()
    assert deal.get_key_value("Amount") == 18320.0
    assert deal.get_key_value("Stage").get_value() == "Proposal"
    assert deal.get_key_value("Contact_Name").get_id() == ADA
    [contact] = read(RecordOperations("Contacts").get_record(OPTED_OUT)).get_data()
    assert contact.get_key_value("Email_Opt_Out") is True


def test_a_page_of_records(sandbox):
    asked = parameters(fields=(GetRecordsParam.fields, "Email"), per_page=(GetRecordsParam.per_page, 3))
    page = read(RecordOperations("Contacts").get_records(asked))
    assert len(page.get_data()) == page.get_info().get_count() == 3
    in_a_day = page.get_info().get_page_token_expiry().timestamp() - sandbox.now()
    assert 86340 < in_a_day <= 86400
    token = page.get_info().get_next_page_token()
    rest = read(
        RecordOperations("Contacts").get_records(
            parameters(
                fields=(GetRecordsParam.fields, "Email"),
                per_page=(GetRecordsParam.per_page, 3),
                page_token=(GetRecordsParam.page_token, token),
            )
        )
    )
    assert len(rest.get_data()) == 1


def test_a_search(sandbox):
    sandbox.settings(scopes=[*sandbox.settings()["scopes"], "ZohoSearch.securesearch.READ"])
    found = RecordOperations("Contacts").search_records(
        parameters(email=(SearchRecordsParam.email, "ada.lovelace@example.org"))
    )
    assert [record.get_id() for record in read(found).get_data()] == [ADA]


# ---- mails ----


def test_a_mail(sandbox):
    message_id = send()
    [arrived] = sandbox.mails()
    assert (arrived["message_id"], arrived["subject"], arrived["cc"]) == (
        message_id,
        "Hello",
        [{"email": "team@example.com"}],
    )


def test_a_scheduled_mail(sandbox):
    tomorrow = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(
        days=1
    )
    message_id = send(scheduled_time=tomorrow)
    [listed] = read(emails(type="scheduled_in_crm").get_emails_related_records()).get_emails()
    assert (listed.get_message_id(), listed.get_time()) == (message_id, tomorrow)


def test_a_mail_of_which_somebody_is_left_out(sandbox):
    sandbox.settings(blocked_addresses=["team@example.com"])
    response = SendMailOperations(ADA, "Contacts").send_mail(mail())
    [blocked] = read(response).get_data()[0].get_details()["blocked_email_addresses"]
    assert parts_of(blocked)["email"] == "team@example.com"


def test_the_mails_of_a_record():
    sent = [send() for _ in range(11)]
    page = read(emails().get_emails_related_records())
    assert [entry.get_message_id() for entry in page.get_emails()] == sent[:0:-1]
    assert (page.get_info().get_count(), page.get_info().get_more_records()) == (10, True)
    index = parameters(index=(GetEmailsRelatedRecordsParam.index, page.get_info().get_next_index()))
    [last] = read(emails().get_emails_related_records(index)).get_emails()
    assert last.get_message_id() == sent[0]
    assert isinstance(last.get_time(), datetime.datetime)
    assert last.get_to()[0].get_email() == "ada.lovelace@example.org"


def test_the_mails_of_a_companys_contacts():
    message_id = send()
    view = emails(COMPANY, "Accounts", "all_contacts_sent_crm_emails")
    [entry] = read(view.get_emails_related_records()).get_emails()
    assert entry.get_message_id() == message_id


def test_no_mails():
    response = emails().get_emails_related_records()
    assert (response.get_status_code(), response.get_object()) == (204, None)


@pytest.mark.parametrize("nothing", ["null", "array", "object"])
def test_whatever_stands_for_nothing(sandbox, nothing):
    sandbox.settings(emails_empty=nothing)
    send(cc=[])
    [entry] = read(emails().get_emails_related_records()).get_emails()
    assert not entry.get_cc()


def test_the_status_of_a_mail(sandbox):
    message_id = send()
    sandbox.set_status(message_id, "opened")
    sandbox.set_status(message_id, "bounced", "550 no such user")
    [entry] = read(emails().get_emails_related_records()).get_emails()
    sent, opened, bounced = entry.get_status()
    assert (sent.get_type(), opened.get_type(), bounced.get_type()) == ("sent", "opened", "bounced")
    assert (opened.get_count(), opened.get_first_open()) == ("1", opened.get_last_open())
    assert bounced.get_bounced_reason() == "550 no such user"
    assert isinstance(bounced.get_bounced_time(), datetime.datetime)


def test_a_single_mail_with_an_attachment(file):
    file_id = upload(file)
    attachment = Attachment()
    attachment.set_id(file_id)
    message_id = send(attachments=[attachment])
    [single] = read(emails().get_emails_related_record(message_id)).get_emails()
    assert single.get_content() == "<p>Hello</p>"
    [attached] = single.get_attachments()
    assert (attached.get_id(), attached.get_name(), attached.get_size()) == (file_id, "a.txt", "3")


# ---- files ----


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("abc")
    return file


def upload(file: Path) -> str:
    [result] = read(FilesOperations().upload_files(files_body(file))).get_data()
    assert result.get_details()["name"] == file.name
    return str(result.get_details()["id"])


def files_body(file: Path) -> FilesBody:
    body = FilesBody()
    body.set_file([StreamWrapper(file_path=str(file))])
    return body


def test_a_file_comes_back(file):
    response = FilesOperations().get_file(parameters(id=(GetFileParam.id, upload(file))))
    stream = response.get_object().get_file()
    assert (stream.get_name(), b"".join(stream.get_stream())) == ("a.txt", b"abc")


# ---- errors ----


@pytest.mark.parametrize("has_status", [True, False])
@pytest.mark.parametrize(
    ("record_id", "module", "changes", "code", "details"),
    [
        (1, "Contacts", {}, "INVALID_DATA", {"resource_path_index": 1}),
        (ADA, "Leads", {}, "INVALID_MODULE", {"resource_path_index": 0}),
        (OPTED_OUT, "Contacts", {}, "NO_PERMISSION", {}),
        (ADA, "Contacts", {"to": []}, "MANDATORY_NOT_FOUND", {"api_name": "to", "json_path": "$.data[0].to"}),
    ],
)
def test_a_refused_mail(sandbox, record_id, module, changes, code, details, has_status):
    sandbox.settings(error_status=has_status)
    response = SendMailOperations(record_id, module).send_mail(mail(**changes))
    refused = read(response)
    [error] = refused.get_data() if hasattr(refused, "get_data") else [refused]
    assert error.get_code().get_value() == code
    assert error.get_details() == details
    assert error.get_message()


def test_a_missing_scope(sandbox):
    sandbox.settings(scopes=[])
    response = emails().get_emails_related_records()
    error = read(response)
    assert (response.get_status_code(), error.get_code().get_value()) == (401, "OAUTH_SCOPE_MISMATCH")


def test_an_empty_file(file):
    file.write_text("")
    response = FilesOperations().upload_files(files_body(file))
    assert response.get_status_code() == 400
    assert read(response).get_code().get_value() == "failure_in_attachment_handling"
