from __future__ import annotations

import html
import re

import pytest
import requests

from tests.sandbox.conftest import ADA, Client

EVIL = '<script>alert(1)</script><img src="https://example.com/x.png" onerror="alert(2)">'


def page(sandbox, path: str = "/") -> requests.Response:
    answer = requests.get(sandbox.url + path, timeout=10)
    assert answer.status_code == 200
    return answer


def policy(answer: requests.Response) -> dict[str, str]:
    directives = (
        part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";")
    )
    return {name: value for name, _, value in directives}


def test_an_empty_inbox_tells_how_to_send_the_first_mail(sandbox):
    text = html.unescape(page(sandbox).text)
    assert "No mail yet" in text
    assert f'record_id="{ADA}"' in text
    assert "AIRFLOW_CONN_BIGIN_DEFAULT" in text


def test_a_mail_with_all_its_fields(sandbox, bigin: Client):
    file_id = bigin.post("/files", files={"file": ("report.pdf", b"x" * 2000)}).json()["data"][0]["details"][
        "id"
    ]
    message_id = bigin.sent(
        cc=[{"email": "cc@example.org"}],
        bcc=[{"email": "bcc@example.org"}],
        reply_to={"email": "reply@example.org"},
        attachments=[{"id": file_id}],
        scheduled_time="2099-01-01T00:00:00+00:00",
    )
    text = html.unescape(page(sandbox, f"/mails/{message_id}").text)
    for shown in (
        "Ada Lovelace",
        "ada@example.com",
        "cc@example.org",
        "bcc@example.org",
        "reply@example.org",
        "report.pdf",
        "2.0 kB",
        "2099-01-01T00:00:00+00:00",
        message_id,
        ADA,
        "scheduled",
        sandbox.mails()[0]["request"]["data"][0]["subject"],
        '"scheduled_time": "2099-01-01T00:00:00+00:00"',
    ):
        assert shown in text


def test_the_newest_mails_come_first_fifty_a_page(sandbox, bigin: Client):
    for number in range(53):
        bigin.sent(subject=f"No. {number}!")
    first, second = page(sandbox).text, page(sandbox, "/?page=2").text
    listed = re.findall(r'class="subject"><bdi>No\. (\d+)!', first)
    assert listed == [str(number) for number in range(52, 2, -1)]
    assert re.findall(r'class="subject"><bdi>No\. (\d+)!', second) == ["2", "1", "0"]
    assert 'href="/?page=2"' in first
    assert "Older" not in second
    oldest = sandbox.mails()[-1]["message_id"]
    assert 'href="/?page=2">← All mails' in page(sandbox, f"/mails/{oldest}").text


@pytest.mark.parametrize("number", [0, -1, 99])
def test_a_page_that_does_not_exist(sandbox, bigin: Client, number):
    bigin.sent()
    page(sandbox, f"/?page={number}")


def test_nothing_in_the_page_can_run_or_come_from_outside(sandbox, bigin: Client):
    message_id = bigin.sent(subject=EVIL, to=[{"user_name": EVIL, "email": "a@example.org"}], content=EVIL)
    sandbox.set_status(message_id, "bounced", EVIL)
    for path in ("/", f"/mails/{message_id}"):
        answer = page(sandbox, path)
        assert "<script" not in answer.text
        assert "<img" not in answer.text
        assert not re.findall(r'(?:src|href)="(?!/|#)', answer.text)
        rules = policy(answer)
        assert rules["default-src"] == "'none'"
        assert (
            rules["style-src"] == rules["img-src"] == rules["frame-src"] == rules["form-action"] == "'self'"
        )
        assert rules.keys() == {
            "default-src",
            "style-src",
            "img-src",
            "frame-src",
            "base-uri",
            "form-action",
            "frame-ancestors",
        }


def test_the_body_is_a_sandboxed_document_of_its_own(sandbox, bigin: Client):
    message_id = bigin.sent(content=f"<b>bold</b>{EVIL}")
    [frame] = re.findall("<iframe.*?>", page(sandbox).text)
    assert 'sandbox=""' in frame
    assert f'src="/mails/{message_id}/body"' in frame
    answer = page(sandbox, f"/mails/{message_id}/body")
    assert "<b>bold</b>" in answer.text
    rules = policy(answer)
    assert rules["sandbox"] == ""
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules


def shown_image(sandbox, bigin: Client, name: str, content: bytes = b"image", **mail: str) -> str:
    """Send a mail with an image in its text and return what the inbox shows."""
    upload = bigin.post("/files", params={"type": "inline"}, files={"file": (name, content)}).json()
    address = f"{sandbox.url}/crm/viewInLineImage?fileContent={upload['data'][0]['details']['id']}"
    message_id = bigin.sent(content=f'<b>bold</b><img src="{address}" alt="x">', **mail)
    assert address in sandbox.mails()[0]["content"]
    return page(sandbox, f"/mails/{message_id}/body").text


def test_an_image_in_the_text_is_shown(sandbox, bigin: Client):
    body = shown_image(sandbox, bigin, "a.png")
    assert '<b>bold</b><img src="data:image/png;base64,aW1hZ2U=" alt="x">' in body


@pytest.mark.parametrize(("name", "mail"), [("a.html", {}), ("a", {}), ("a.png", {"mail_format": "text"})])
def test_what_is_no_image_is_not(sandbox, bigin: Client, name, mail):
    assert "data:" not in shown_image(sandbox, bigin, name, **mail)


def test_an_image_that_was_never_uploaded(sandbox, bigin: Client):
    content = '<img src="https://www.zohoapis.com/crm/viewInLineImage?fileContent=0123">'
    assert content in page(sandbox, f"/mails/{bigin.sent(content=content)}/body").text


def test_a_body_connects_to_nobody(sandbox, bigin: Client):
    message_id = bigin.sent(
        content='<LINK rel=preconnect href=//e.org><link/rel=x><iframe srcdoc="&lt;link rel=preconnect&gt;">'
    )
    assert not re.search("<(link|iframe)", page(sandbox, f"/mails/{message_id}/body").text, re.IGNORECASE)


def test_an_attachment_is_stored_and_never_shown(sandbox, bigin: Client):
    uploaded = bigin.post("/files", files={"file": ("a\u202e.html", EVIL.encode(), "text/html")}).json()
    message_id = bigin.sent(attachments=[{"id": uploaded["data"][0]["details"]["id"]}])
    assert f'href="/mails/{message_id}/attachments/0"' in page(sandbox, f"/mails/{message_id}").text
    answer = page(sandbox, f"/mails/{message_id}/attachments/0")
    assert answer.content == EVIL.encode()
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''a%E2%80%AE.html")
    assert answer.headers["content-type"] == "application/x-download"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in policy(answer)
    for number in ("1", "-1", "x"):
        path = f"/mails/{message_id}/attachments/{number}"
        assert requests.get(sandbox.url + path, timeout=10).status_code in (404, 422)


@pytest.mark.parametrize(
    ("text", "found"),
    [("zoë", 1), ("ZO", 1), ("who@example.org", 1), ('50%_"<b>', 1), ("hello", 2), ("nowhere", 0), ("", 2)],
)
def test_a_search_finds_texts_of_all_fields(sandbox, bigin: Client, text, found):
    bigin.sent(subject="Zoë", to=[{"email": "who@example.org"}], content="Hello")
    bigin.sent(subject='50%_"<b>', to=[{"email": "other@example.org"}], content="hello")
    answer = requests.get(sandbox.url, params={"search": text}, timeout=10).text
    assert answer.count('class="subject"') == found
    assert ("No mail contains this text" in answer) == (not found)
    assert f'value="{html.escape(text).replace("&quot;", "&#34;")}"' in answer


def test_a_search_has_pages_of_its_own(sandbox, bigin: Client):
    for number in range(51):
        bigin.sent(subject=f"a&b {number}")
    bigin.sent(subject="another")
    first = requests.get(sandbox.url, params={"search": "a&b"}, timeout=10).text
    assert 'href="/?search=a%26b&amp;page=2" rel="next"' in first
    second = page(sandbox, "/?search=a%26b&page=2").text
    assert re.findall(r"<bdi>a&amp;b (\d+)</bdi></span>", second) == ["0"]
    assert 'href="/?search=a%26b" rel="prev"' in second


def test_the_list_looks_again_but_not_under_a_reader(sandbox, bigin: Client):
    message_id = bigin.sent()
    assert 'http-equiv="refresh"' in page(sandbox).text
    for path in ("/?search=", f"/mails/{message_id}"):
        assert 'http-equiv="refresh"' not in page(sandbox, path).text


def test_names_of_another_direction_are_isolated(sandbox, bigin: Client):
    bigin.sent(subject="שלום", to=[{"user_name": "עדה", "email": "a@example.org"}])
    text = page(sandbox).text
    assert text.count("<bdi>שלום</bdi>") == 2
    assert '<bdi>עדה</bdi> <bdi class="address">a@example.org</bdi>' in text


def test_the_icon(sandbox):
    answer = page(sandbox, "/favicon.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.content.startswith(b"<svg")


def test_a_text_mail_is_shown_as_text(sandbox, bigin: Client):
    message_id = bigin.sent(content="1 < 2\n<b>", mail_format="text")
    body = page(sandbox, f"/mails/{message_id}/body").text
    assert "1 &lt; 2\n&lt;b&gt;" in body


def test_a_mail_without_anything(sandbox, bigin: Client):
    message_id = bigin.sent(subject=..., content=...)
    assert "(no subject)" in page(sandbox).text
    page(sandbox, f"/mails/{message_id}/body")


def test_states(sandbox, bigin: Client):
    message_id = bigin.sent()
    for state in ("opened", "bounced", "teleported"):
        sandbox.set_status(message_id, state)
        assert f">{state}</span>" in page(sandbox).text


def test_an_unknown_mail(sandbox):
    for path in ("/mails/x", "/mails/x/body"):
        assert requests.get(sandbox.url + path, timeout=10).status_code == 404


def test_no_secrets_are_shown(sandbox, bigin: Client):
    pages = [page(sandbox).text]
    message_id = bigin.sent()
    pages += [page(sandbox, path).text for path in ("/", f"/mails/{message_id}", f"/mails/{message_id}/body")]
    secrets = {
        bigin.credentials["client_secret"],
        bigin.credentials["refresh_token"],
        bigin.headers["Authorization"].split()[1],
    }
    assert not [secret for secret in secrets for text in pages if secret in text]
