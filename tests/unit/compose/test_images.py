from __future__ import annotations

import pytest

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.mail import MAX_CONTENT_LENGTH, Mail
from airflow_provider_bigin.compose.attachments import read_images
from airflow_provider_bigin.compose.images import check_images, named_images, with_uploaded

CHART = '<img src="cid:chart">'


def mail(content, mail_format="html"):
    return Mail.compose(to="a@example.org", content=content, mail_format=mail_format)


@pytest.mark.parametrize("nothing", [None, "", {}])
def test_no_images(nothing):
    assert named_images(nothing) == {}


@pytest.mark.parametrize("value", ["chart.png", ["chart.png"], 7, {1: "chart.png"}])
def test_what_is_no_dict_of_paths(value):
    with pytest.raises(BiginValidationError, match=r"images: .* is not a dict of paths by name"):
        named_images(value)


@pytest.mark.parametrize(
    ("content", "mail_format", "images", "message"),
    [
        (CHART, "html", [], "content: it shows the image 'chart'"),
        (CHART, "html", ["chrat"], "content: it shows the image 'chart'"),
        (CHART, "html", ["chart", "other"], "images: 'other' is not shown"),
        ("<p>Hi</p>", "html", ["chart"], "images: 'chart' is not shown"),
        (CHART, "text", ["chart"], "images: 'chart' is not shown"),
        ("cid:chart", "html", ["chart"], "images: 'chart' is not shown"),
    ],
)
def test_an_unknown_image_and_one_that_is_not_shown(content, mail_format, images, message):
    with pytest.raises(BiginValidationError, match=message):
        check_images(mail(content, mail_format), images)


@pytest.mark.parametrize(("content", "mail_format"), [(CHART, "text"), ("<p>cid:chart</p>", "html")])
def test_what_only_looks_like_an_image(content, mail_format):
    check_images(mail(content, mail_format), [])
    assert with_uploaded(mail(content, mail_format), {}).content == content


def test_addresses_that_make_a_mail_too_long():
    long = mail(CHART + "x" * (MAX_CONTENT_LENGTH - len(CHART)))
    with pytest.raises(BiginValidationError, match="100,018 characters with the addresses of its images"):
        with_uploaded(long, {"chart": "https://a.example/123456789"[:30]})


def test_images_of_others_lie_below_the_root(tmp_path):
    (tmp_path / "a.png").write_text("a")
    assert read_images({"a": "a.png"}, tmp_path, is_data=True) == {"a": tmp_path / "a.png"}
    for path, root in (("../a.png", tmp_path), ("a.png", None)):
        with pytest.raises(BiginValidationError, match=r"images: .*files_root"):
            read_images({"a": path}, root, is_data=True)
    assert list(read_images({"a": "/anywhere/a.png"}, None, is_data=False)) == ["a"]
