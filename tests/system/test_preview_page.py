"""A preview opened in a browser: nothing in its mails runs, and nobody learns that it was opened."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By

from airflow_provider_bigin.api.mail import Mail
from airflow_provider_bigin.api.records import RecordRef
from airflow_provider_bigin.delivery.message import Message
from airflow_provider_bigin.operators.preview import Preview, Sample, as_page

#: Everything that makes browsers request something, each with its own hostname.
HOSTILE = """
    </iframe></article>"'><script>fetch('URL/script')</script>
    <body onload="fetch('URL/load')" background=URL/body>
    <img src=URL/img onerror="fetch('URL/error')"><img srcset=URL/srcset>
    <picture><source srcset=URL/source></picture>
    <link rel=stylesheet href=URL/css><link rel=preconnect href=URL><LINK/rel=preconnect href=URL>
    <link rel=prefetch href=URL/prefetch><link rel=preload as=image href=URL/preload>
    <style>@import url(URL/import); body { background: url(URL/background) }
    @font-face { font-family: x; src: url(URL/font) } * { font-family: x }</style>
    <meta http-equiv=refresh content="0; url=URL/refresh"><base href=URL/base/><img src=relative.png>
    <iframe src=URL/frame></iframe>
    <iframe srcdoc="&lt;link rel=preconnect href=URL&gt;<img src=URL/inner>"></iframe>
    <object data=URL/object></object><embed src=URL/embed>
    <video src=URL/video poster=URL/poster autoplay></video>
    <svg><image href=URL/svg /><use href=URL/use#x /></svg><input type=image src=URL/input>
    <script type=speculationrules>{"prefetch": [{"urls": ["URL/speculation"]}]}</script>
    <form action=URL/form><button>Send</button></form>
"""


@pytest.fixture
def server() -> Iterator[tuple[str, list[object]]]:
    """Return the address of a server and the list of its connections."""
    visitors: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):  # the test is over
                while True:
                    client, address = listener.accept()
                    visitors.append(address)
                    client.close()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", visitors
        listener.shutdown(socket.SHUT_RDWR)


def test_opening_it_runs_and_loads_nothing(
    browser: webdriver.Chrome, server: tuple[str, list[object]], tmp_path: Path
) -> None:
    url, visitors = server
    text = HOSTILE.replace("URL", url)
    mail = Mail.compose(
        from_email="me@example.com",
        to={"user_name": text[:200], "email": "a@example.org"},
        subject=text[:500],
        content=f"<p id=read>Read me</p>{text}",
    )
    sample = Sample(0, Message(RecordRef("Contacts", "1"), mail), (text,))
    failure = {"row": 1, "record_id": None, "error": "INVALID_DATA", "detail": text}
    page = tmp_path / "preview.html"
    page.write_text(as_page(Preview(2, [sample], [failure])))

    browser.get(page.as_uri())
    browser.switch_to.frame(browser.find_element(By.TAG_NAME, "iframe"))
    assert browser.find_element(By.ID, "read").text == "Read me"
    browser.find_element(By.TAG_NAME, "button").click()
    browser.switch_to.default_content()
    assert browser.current_url == page.as_uri()
    browser.get("about:blank")
    assert visitors == []
    with contextlib.suppress(WebDriverException):  # an empty answer
        browser.get(url)
    assert visitors  # the server could be reached all the time
