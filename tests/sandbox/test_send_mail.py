from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
import requests

from tests.sandbox.conftest import (
    ADA,
    COMPANY,
    DEAL,
    DEAL_WITHOUT_ADDRESS,
    OPTED_OUT,
    WITHOUT_ADDRESS,
    Client,
)

EVERYTHING = {
    "from": {"user_name": "The Team", "email": "team@example.com"},
    "to": [{"user_name": "Ada Lovelace", "email": "ada.lovelace@example.org"}, {"email": "b@example.org"}],
    "cc": [{"email": "c@example.org"}],
    "bcc": [{"email": "d@example.org"}],
    "reply_to": {"user_name": "Desk", "email": "desk@example.com"},
    "subject": "Größe",
    "content": "Hello",
    "mail_format": "text",
    "org_email": True,
}


def in_an_hour(bigin: Client, seconds: int = 3600) -> str:
    now = datetime.now(timezone(timedelta(hours=5, minutes=30)))
    return (now + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def item(answer: requests.Response) -> dict:
    """Return the error of an item."""
    [error] = answer.json()["data"]
    assert error["status"] == "error"
    return error


def test_success(sandbox, bigin: Client):
    answer = bigin.send_mail()
    assert answer.status_code == 200
    [result] = answer.json()["data"]
    message_id = result["details"]["message_id"]
    assert len(message_id) == 64
    assert int(message_id, 16)
    assert result == {
        "code": "SUCCESS",
        "details": {"message_id": message_id},
        "message": "Your mail has been sent successfully.",
        "status": "success",
    }
    [mail] = sandbox.mails()
    assert (mail["message_id"], mail["state"]) == (message_id, "sent")


def test_every_field_is_kept(sandbox, bigin: Client):
    file_id = bigin.post("/files", files={"file": ("a.txt", b"abc")}).json()["data"][0]["details"]["id"]
    sent = {**EVERYTHING, "attachments": [{"id": file_id}], "scheduled_time": in_an_hour(bigin)}
    bigin.send_mail(**sent)
    [mail] = sandbox.mails()
    assert mail["request"] == {"data": [sent]}
    assert (mail["module"], mail["record_id"], mail["state"]) == ("Contacts", ADA, "scheduled")
    assert mail["attachments"] == [{"id": file_id, "name": "a.txt", "size": 3}]
    assert {name: mail[name] for name in EVERYTHING} == EVERYTHING
    assert mail["scheduled_time"] == sent["scheduled_time"]


def test_fields_that_were_not_given(sandbox, bigin: Client):
    bigin.send_mail(subject=..., content=...)
    [mail] = sandbox.mails()
    for name in ("subject", "content", "mail_format", "scheduled_time", "reply_to"):
        assert mail[name] is None
    for name in ("cc", "bcc", "attachments"):
        assert mail[name] == []


def test_a_content_type_is_not_asked_for(bigin: Client):
    body = {"data": [{"from": {"email": "ada@example.com"}, "to": [{"email": "a@example.org"}]}]}
    assert bigin.post(f"/Contacts/{ADA}/actions/send_mail", data=json.dumps(body)).status_code == 200


def test_an_unknown_field_is_ignored_and_the_mail_leaves_at_once(sandbox, bigin: Client):
    assert bigin.send_mail(schedule_time="2030-01-01T00:00:00+00:00").status_code == 200
    assert sandbox.mails()[0]["state"] == "sent"


@pytest.mark.parametrize(("module", "record_id"), [("Accounts", COMPANY), ("Pipelines", DEAL)])
def test_other_modules(sandbox, bigin: Client, module, record_id):
    assert bigin.send_mail(record_id, module).status_code == 200
    assert sandbox.mails(record_id)[0]["module"] == module


def test_scheduled(sandbox, bigin: Client):
    [result] = bigin.send_mail(scheduled_time=in_an_hour(bigin)).json()["data"]
    assert result["message"] == "Your mail has been scheduled successfully."
    assert sandbox.mails()[0]["state"] == "scheduled"
    sandbox.advance(3601)
    assert sandbox.mails()[0]["state"] == "sent"


def test_a_time_in_the_past_means_at_once(sandbox, bigin: Client):
    bigin.send_mail(scheduled_time="2020-01-01T00:00:00+00:00")
    assert sandbox.mails()[0]["state"] == "sent"


def test_an_edition_without_scheduling(sandbox, bigin: Client):
    sandbox.settings(scheduling=False)
    answer = bigin.send_mail(scheduled_time=in_an_hour(bigin))
    assert (answer.status_code, item(answer)["code"]) == (400, "FEATURE_NOT_SUPPORTED")


@pytest.mark.parametrize("module", ["Deals", "contacts", "Products"])
def test_unknown_module(bigin: Client, module):
    answer = bigin.send_mail(module=module)
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "INVALID_MODULE",
        "details": {"resource_path_index": 0},
        "message": "the module name given seems to be invalid",
        "status": "error",
    }


@pytest.mark.parametrize("record_id", ["abc", "5000000000000009999", COMPANY])
def test_unknown_record(bigin: Client, record_id):
    answer = bigin.send_mail(record_id)
    assert answer.status_code == 400
    assert answer.json() == {
        "code": "INVALID_DATA",
        "details": {"resource_path_index": 1},
        "message": "the id given seems to be invalid",
        "status": "error",
    }


@pytest.mark.parametrize("data", [None, {}, "x"])
def test_data_must_be_an_array(bigin: Client, data):
    body = {} if data is None else {"data": data}
    answer = bigin.post(f"/Contacts/{ADA}/actions/send_mail", json=body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "INVALID_DATA"
    assert answer.json()["details"] == {"expected_data_type": "jsonarray", "api_name": "data"}


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'"x"', b"\xff"])
def test_a_body_that_is_no_object(bigin: Client, body):
    answer = bigin.post(f"/Contacts/{ADA}/actions/send_mail", data=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")


@pytest.mark.parametrize("data", [[], [{}, {}]])
def test_one_mail_a_call(bigin: Client, data):
    answer = bigin.post(f"/Contacts/{ADA}/actions/send_mail", json={"data": data})
    assert (answer.status_code, answer.json()["details"]["maximum_length"]) == (400, 1)


@pytest.mark.parametrize(
    ("changes", "name", "path"),
    [
        ({"from": ...}, "from", "$.data[0].from"),
        ({"to": ...}, "to", "$.data[0].to"),
        ({"to": []}, "to", "$.data[0].to"),
        ({"from": {"user_name": "Ada"}}, "email", "$.data[0].from.email"),
        ({"to": [{"email": "a@example.org"}, {"user_name": "B"}]}, "email", "$.data[0].to[1].email"),
        ({"attachments": [{}]}, "id", "$.data[0].attachments[0].id"),
    ],
)
def test_missing(sandbox, bigin: Client, changes, name, path):
    answer = bigin.send_mail(**changes)
    assert answer.status_code == 400
    assert item(answer) == {
        "code": "MANDATORY_NOT_FOUND",
        "details": {"api_name": name, "json_path": path},
        "message": "required field not found",
        "status": "error",
    }
    assert sandbox.mails() == []


@pytest.mark.parametrize(
    ("changes", "path", "more"),
    [
        ({"to": {"email": "a@example.org"}}, "to", {"expected_data_type": "jsonarray"}),
        ({"cc": None}, "cc", {"expected_data_type": "jsonarray"}),
        ({"to": ["a@example.org"]}, "to[0]", {"expected_data_type": "jsonobject"}),
        ({"from": "ada@example.com"}, "from", {"expected_data_type": "jsonobject"}),
        ({"reply_to": [{"email": "a@example.org"}]}, "reply_to", {"expected_data_type": "jsonobject"}),
        ({"org_email": "true"}, "org_email", {"expected_data_type": "boolean"}),
        ({"subject": None}, "subject", {"expected_data_type": "string"}),
        ({"subject": "x" * 1001}, "subject", {"maximum_length": 1000}),
        ({"content": "x" * 100_001}, "content", {"maximum_length": 100_000}),
        ({"mail_format": "markdown"}, "mail_format", {"supported_values": ["html", "text"]}),
        ({"bcc": [{"email": f"a{n}@example.org"} for n in range(51)]}, "bcc", {"maximum_length": 50}),
        ({"attachments": [{"id": "1"}] * 11}, "attachments", {"maximum_length": 10}),
        ({"scheduled_time": "2030-01-01T00:00:00"}, "scheduled_time", {"expected_data_type": "datetime"}),
        (
            {"scheduled_time": "2030-01-01T00:00:00.000+00:00"},
            "scheduled_time",
            {"expected_data_type": "datetime"},
        ),
        (
            {"scheduled_time": "2030-13-01T00:00:00+00:00"},
            "scheduled_time",
            {"expected_data_type": "datetime"},
        ),
    ],
)
def test_wrong_type_or_length(bigin: Client, changes, path, more):
    answer = bigin.send_mail(**changes)
    error = item(answer)
    assert (answer.status_code, error["code"], error["message"]) == (400, "INVALID_DATA", "invalid data")
    assert error["details"]["json_path"] == f"$.data[0].{path}"
    assert more.items() <= error["details"].items()


def test_the_longest_that_is_allowed(bigin: Client):
    everybody = [{"email": f"a{n}@example.org"} for n in range(50)]
    answer = bigin.send_mail(
        subject="x" * 1000, content="x" * 100_000, to=everybody, cc=everybody, bcc=everybody
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "email", ["nobody", "a b@example.org", "a@b", "<a@example.org>", "a@example.org, b@example.org"]
)
def test_malformed_address(bigin: Client, email):
    error = item(bigin.send_mail(to=[{"email": email}]))
    assert error["message"] == "invalid email"
    assert error["details"] == {"api_name": "email", "json_path": "$.data[0].to[0].email"}


def test_an_address_that_is_too_long(bigin: Client):
    error = item(bigin.send_mail(to=[{"email": "a" * 250 + "@example.org"}]))
    assert error["details"]["maximum_length"] == 255


def test_a_sender_that_is_not_allowed(bigin: Client):
    answer = bigin.send_mail(**{"from": {"email": "mallory@example.com"}})
    error = item(answer)
    assert (answer.status_code, error["code"], error["details"]) == (
        400,
        "INVALID_DATA",
        {"api_name": "from"},
    )


def test_the_case_of_a_sender_does_not_matter(bigin: Client):
    assert bigin.send_mail(**{"from": {"email": "ADA@Example.com"}}).status_code == 200


def test_an_unknown_attachment(bigin: Client):
    error = item(bigin.send_mail(attachments=[{"id": "123"}]))
    assert (error["code"], error["message"]) == ("INVALID_DATA", "There is no file exists with the given id")
    assert error["details"]["json_path"] == "$.data[0].attachments[0].id"


def test_files_that_are_good_for_one_mail(sandbox, bigin: Client):
    sandbox.settings(single_use_files=True)
    upload = bigin.post("/files", files={"file": ("a.txt", b"abc")}).json()
    attachments = [{"id": upload["data"][0]["details"]["id"]}]
    refused = bigin.send_mail(attachments=attachments, **{"from": {"email": "mallory@example.com"}})
    assert refused.status_code == 400, "what is refused uses nothing up"
    assert bigin.send_mail(attachments=attachments).status_code == 200
    error = item(bigin.send_mail(attachments=attachments))
    assert error["message"] == "There is no file exists with the given id"
    assert sandbox.mails()[0]["attachments"][0]["name"] == "a.txt"


def test_attachments_that_are_too_large_together(bigin: Client):
    ids = [
        bigin.post("/files", files={"file": (name, b"x" * 6 * 1024 * 1024)}).json()["data"][0]["details"][
            "id"
        ]
        for name in ("a", "b")
    ]
    assert bigin.send_mail(attachments=[{"id": ids[0]}]).status_code == 200
    answer = bigin.send_mail(attachments=[{"id": file_id} for file_id in ids])
    assert (answer.status_code, item(answer)["code"]) == (400, "FILE_SIZE_EXCEEDS")


def test_a_contact_that_opted_out(sandbox, bigin: Client):
    answer = bigin.send_mail(OPTED_OUT)
    assert (answer.status_code, answer.json()["code"]) == (403, "NO_PERMISSION")
    assert sandbox.mails() == []


@pytest.mark.parametrize(
    ("module", "record_id"), [("Contacts", WITHOUT_ADDRESS), ("Pipelines", DEAL_WITHOUT_ADDRESS)]
)
def test_a_record_without_an_address(bigin: Client, module, record_id):
    answer = bigin.send_mail(record_id, module)
    assert (answer.status_code, item(answer)["code"]) == (400, "NOT_ALLOWED")


def test_blocked_addresses_are_told_with_success(sandbox, bigin: Client):
    sandbox.settings(blocked_addresses=["B@example.org"])
    answer = bigin.send_mail(to=[{"email": "a@example.org"}, {"email": "b@example.org"}])
    [result] = answer.json()["data"]
    assert result["code"] == "SUCCESS"
    assert result["details"]["blocked_email_addresses"] == [{"email": "b@example.org", "reason": "bounced"}]
    assert sandbox.mails()[0]["to"] == [{"email": "a@example.org"}]


def test_a_mail_whose_only_recipient_is_blocked_reaches_nobody(sandbox, bigin: Client):
    sandbox.settings(blocked_addresses=["a@example.org"])
    assert bigin.send_mail(to=[{"email": "a@example.org"}]).json()["data"][0]["code"] == "SUCCESS"
    assert sandbox.mails() == []


def test_daily_limit_counts_to_and_cc(sandbox, bigin: Client):
    sandbox.settings(daily_mail_limit=4)
    bigin.send_mail(cc=[{"email": "c@example.org"}], bcc=[{"email": "d@example.org"}])
    bigin.send_mail()
    bigin.send_mail()
    answer = bigin.send_mail()
    assert (answer.status_code, item(answer)["code"]) == (400, "LIMIT_EXCEEDED")
    assert sandbox.mail_count() == 3
    sandbox.advance(86_400)
    bigin.log_in()
    assert bigin.send_mail().status_code == 200


def test_checks_come_in_bigins_order(sandbox, bigin: Client):
    """Each mistake is corrected in turn; the next one shows."""
    sandbox.settings(daily_mail_limit=0)
    mistakes = {"from": {"email": "mallory@example.com"}, "to": "x"}
    bigin.headers["Authorization"] = "Zoho-oauthtoken wrong"
    seen = [bigin.send_mail("abc", "Deals", **mistakes)]
    bigin.log_in()
    sandbox.settings(scopes=["ZohoBigin.users.READ"])
    seen.append(bigin.send_mail("abc", "Deals", **mistakes))
    sandbox.settings(scopes=["ZohoBigin.send_mail.all.CREATE"])
    seen.append(bigin.send_mail("abc", "Deals", **mistakes))
    seen.append(bigin.send_mail("abc", **mistakes))
    seen.append(bigin.send_mail(OPTED_OUT, **mistakes))
    mistakes.pop("to")
    seen.append(bigin.send_mail(OPTED_OUT, **mistakes))
    seen.append(bigin.send_mail(OPTED_OUT))
    seen.append(bigin.send_mail())
    errors = [body["data"][0] if "data" in body else body for body in (answer.json() for answer in seen)]
    assert [error["code"] for error in errors] == [
        "INVALID_TOKEN",
        "OAUTH_SCOPE_MISMATCH",
        "INVALID_MODULE",
        "INVALID_DATA",
        "INVALID_DATA",
        "INVALID_DATA",
        "NO_PERMISSION",
        "LIMIT_EXCEEDED",
    ]
    assert [error["details"].get("api_name") for error in errors[3:6]] == [None, "to", "from"]
