"""
Images in the text of a mail.

People write ``<img src="cid:NAME">``; once an image is uploaded, it has a URL of Bigin's.

See https://www.bigin.com/developer/docs/apis/v2/send-mail.html, whose sample has such a URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

#: Where Bigin serves files uploaded with ``type=inline``: the CRM's path, also in Bigin's own sample.
_PATH = "/crm/viewInLineImage?fileContent="
_SOURCE = r"(<img\b[^<>]*?(?<![\w-])src\s*=\s*[\"']?)"
_NAMED = re.compile(rf"{_SOURCE}cid:([^\"'\s<>]*)", re.IGNORECASE)
_UPLOADED = re.compile(
    # What may come before the path is bounded, so the work is linear in the length.
    rf"{_SOURCE}(?:https?://[\w.:\[\]-]{{1,100}})?{re.escape(_PATH)}[^\"'\s<>]*",
    re.IGNORECASE,
)


def image_address(api_domain: str, file_id: str) -> str:
    """Return the URL of an uploaded image."""
    return f"{api_domain}{_PATH}{quote(file_id, safe='')}"


def image_names(html: str) -> set[str]:
    """Return the names of the images that the content shows."""
    return {found[2] for found in _NAMED.finditer(html)}


def with_addresses(html: str, addresses: Mapping[str, str]) -> str:
    """
    Replace the names of images with their URLs.

    :param addresses: URLs by name, for all images that the content shows.
    """
    return _NAMED.sub(lambda found: found[1] + addresses[found[2]], html)


def without_images(html: str) -> str:
    """Return the content in a form that is the same before and after any number of image uploads."""
    return _NAMED.sub(r"\1", _UPLOADED.sub(r"\1", html))
