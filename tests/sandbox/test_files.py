from __future__ import annotations

import pytest

from tests.sandbox.conftest import Client

PROBLEM = "failure_in_attachment_handling"


def test_several_files_in_the_order_of_the_request(sandbox, bigin: Client):
    parts = [("file", (name, content)) for name, content in (("b.txt", b"bb"), ("a ü.txt", b"a"))]
    results = bigin.post("/files", files=parts).json()["data"]
    assert [result["details"]["name"] for result in results] == ["b.txt", "a ü.txt"]
    assert {result["code"] for result in results} == {"SUCCESS"}
    sandbox.settings(scopes=["ZohoBigin.Files.READ"])
    answer = bigin.get("/files", params={"id": results[1]["details"]["id"]})
    assert answer.content == b"a"
    assert answer.headers["content-type"] == "application/x-download"


@pytest.mark.parametrize(
    "request_parts",
    [
        {"files": {"other": ("a.txt", b"a")}},
        {"files": {"file": ("a.txt", b"")}},
        {"data": {"file": "a"}},
        {},
    ],
)
def test_a_field_that_is_missing_or_empty(bigin: Client, request_parts):
    answer = bigin.post("/files", **request_parts)
    assert (answer.status_code, answer.json()["code"]) == (400, PROBLEM)


def test_ten_files_at_once(bigin: Client):
    parts = [("file", (f"{n}.txt", b"x")) for n in range(11)]
    assert bigin.post("/files", files=parts[:10]).status_code == 200
    answer = bigin.post("/files", files=parts)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_REQUEST")


def test_one_file_that_is_too_large_refuses_them_all(bigin: Client):
    limit = 20 * 1024 * 1024
    assert bigin.post("/files", files={"file": ("a.bin", b"x" * limit)}).status_code == 200
    parts = [("file", ("small.txt", b"x")), ("file", ("large.bin", b"x" * (limit + 1)))]
    answer = bigin.post("/files", files=parts)
    assert (answer.status_code, answer.json()["code"]) == (415, "FILE_SIZE_MORE_THAN_ALLOWED_SIZE")


def test_an_image_is_no_attachment(bigin: Client):
    image = {"file": ("a.png", b"a")}
    answer = bigin.post("/files", params={"type": "inline"}, files=image)
    [result] = answer.json()["data"]
    assert result["code"] == "SUCCESS"
    assert bigin.send_mail(attachments=[{"id": result["details"]["id"]}]).status_code == 400


def test_another_type_of_file(bigin: Client):
    answer = bigin.post("/files", params={"type": "video"}, files={"file": ("a.png", b"a")})
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_DATA")


def test_download_of_nothing(sandbox, bigin: Client):
    sandbox.settings(scopes=["ZohoBigin.Files.READ"])
    assert bigin.get("/files", params={"id": "unknown"}).status_code == 204
    assert bigin.get("/files").json()["code"] == "REQUIRED_PARAM_MISSING"
