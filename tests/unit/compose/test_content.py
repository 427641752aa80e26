from __future__ import annotations

import jinja2
import pytest

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.compose.content import CONTENT_EXTENSIONS, read_content


@pytest.fixture
def environment(tmp_path):
    return jinja2.Environment(loader=jinja2.FileSystemLoader(tmp_path), autoescape=True)


@pytest.mark.parametrize("extension", CONTENT_EXTENSIONS)
def test_a_template_file(environment, tmp_path, extension):
    (tmp_path / f"mail{extension}").write_text("Hello {{ ds }}")
    assert read_content(f"mail{extension}", environment) == "Hello {{ ds }}"


@pytest.mark.parametrize(
    "content",
    ["mail.j2", "templates/mail.mjml", "mail.htm", "templates/mail", "mails\\a", "mails/{{ ds }}.tpl"],
)
def test_the_name_of_no_template_file_is_not_mailed(environment, content):
    with pytest.raises(BiginValidationError, match=r"content: .*end it with a space"):
        read_content(content, environment)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "Hello.",
        "Hello",
        "See attachment.pdf",
        "<p>a/b</p>",
        "a/b ",
        "mail.pdf\n",
        "https://example.org/a.pdf",
        "1.25",
        "{{ params.a/params.b }}",
        "{{ti.xcom_pull('a/b')}}",
        "{{var.value.text}}",
        "Read\nwelcome.html",
    ],
)
def test_a_text_is_itself(environment, content):
    assert read_content(content, environment) == content
