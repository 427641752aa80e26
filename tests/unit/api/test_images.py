from __future__ import annotations

import pytest

from airflow_provider_bigin.api.images import image_address, image_names, with_addresses, without_images

ADDRESS = image_address("https://www.zohoapis.eu", "2cce/a&b")


def test_the_address_is_that_of_bigin_s_sample():
    assert image_address("https://www.zohoapis.com", "2cceafa1") == (
        "https://www.zohoapis.com/crm/viewInLineImage?fileContent=2cceafa1"
    )
    assert ADDRESS.endswith("=2cce%2Fa%26b")


@pytest.mark.parametrize(
    "html",
    [
        '<img src="cid:chart">',
        "<IMG alt='x'\n SRC = 'CID:chart' >",
        "<img width=1 src=cid:chart>",
        "<img/src='cid:chart'/>",
        "<p>cid:other <img src='https://example.org/x.png'><img src='cid:chart'></p>",
    ],
)
def test_the_images_that_a_content_shows(html):
    assert image_names(html) == {"chart"}
    shown = with_addresses(html, {"chart": ADDRESS})
    assert ADDRESS in shown
    assert image_names(shown) == set()
    assert without_images(shown) == without_images(html)


@pytest.mark.parametrize(
    "html",
    [
        "",
        "cid:chart",
        "<a href='cid:chart'>",
        "<img data-src='cid:chart'>",
        "<img alt='x'> src='cid:chart'",
        "<image src='cid:chart'>",
        "<img src='https://example.org/x.png'>",
    ],
)
def test_what_shows_no_image_of_the_mail(html):
    assert image_names(html) == set()
    assert without_images(html) == html


def test_a_content_is_the_same_however_often_its_images_were_uploaded():
    html = '<b>Hi</b><img src="cid:a"><img src="cid:b">'
    addresses = [
        {name: image_address(host, f"{name}{n}") for name in "ab"}
        for n, host in enumerate(["https://www.zohoapis.com", "http://127.0.0.1:8480", "http://[::1]:1", ""])
    ]
    contents = {without_images(with_addresses(html, each)) for each in addresses}
    assert contents == {without_images(html)}
    assert without_images(html) != without_images(html.replace("Hi", "Ho"))


@pytest.mark.parametrize(
    "text",
    [
        "<img " * 50_000,
        "<img " + "src=" * 50_000,
        "<img src=" + "cid:" * 50_000,
        "<img src" + " " * 90_000,
        "<img src=https://" + "a" * 90_000,
        "<img " + "src=https://a" * 10_000,
    ],
)
def test_reading_takes_time_in_proportion_to_the_length(text):
    # Each of these takes minutes if it does not.
    image_names(text)
    without_images(text)
