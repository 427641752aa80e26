from __future__ import annotations

import pytest

from airflow_provider_bigin.api.mail import MAX_CONTENT_LENGTH, Mail
from airflow_provider_bigin.delivery.marker import find_markers, make_marker, with_marker

MARKER = make_marker("secret", ("dag", "run", "task", -1, 1))


def html_mail(content: str) -> Mail:
    return Mail.compose(to="a@b.c", content=content)


@pytest.mark.parametrize(
    "other",
    [
        make_marker("other secret", ("dag", "run", "task", -1, 1)),
        make_marker("secret", ("dag", "run", "task", -1, 2)),
        make_marker("secret", ("dag", "run", "task", 0, 1)),
        make_marker("secret", ("dag", "runtask", "", -1, 1)),
    ],
)
def test_each_send_has_a_mark_of_its_own(other):
    assert other != MARKER
    assert make_marker("secret", ("dag", "run", "task", -1, 1)) == MARKER


@pytest.mark.parametrize(
    "content", ["", "Hi", "<p>Hi</p>", "<html><BODY>Hi</BODY ></html>", "<body>a</body><body>b</body>"]
)
def test_an_html_mail_bears_it_in_an_empty_element(content):
    marked = with_marker(html_mail(content), MARKER).content
    assert find_markers(marked) == {MARKER}
    assert marked.replace(f'<span class="{MARKER}"></span>', "") == content


def test_it_stays_inside_the_body():
    marked = with_marker(html_mail("<html><body>Hi</body></html>"), MARKER).content
    assert marked == f'<html><body>Hi<span class="{MARKER}"></span></body></html>'


def test_letters_that_lower_case_lengthens_do_not_shift_it():
    marked = with_marker(html_mail("<html><body>İyi günler</body></html>"), MARKER).content
    assert marked == f'<html><body>İyi günler<span class="{MARKER}"></span></body></html>'


def test_a_text_mail_bears_it_only_if_asked_for():
    mail = Mail.compose(to="a@b.c", content="Hi", mail_format="text")
    assert with_marker(mail, MARKER) == mail
    assert with_marker(mail, MARKER, in_text=True).content == f"Hi\n\n[{MARKER}]"


def test_a_mail_that_is_full_stays_as_it_is():
    mail = html_mail("x" * MAX_CONTENT_LENGTH)
    assert with_marker(mail, MARKER) == mail
