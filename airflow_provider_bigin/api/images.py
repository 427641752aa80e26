"""
Images that a mail shows in its text: ``<img src="cid:NAME">`` as people write it, an address of Bigin's once
they are uploaded.

See https://www.bigin.com/developer/docs/apis/v2/send-mail.html, whose sample has such an address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

#: Where Bigin shows what was uploaded with ``type=inline``: the CRM's path, in Bigin's own sample too.
_PATH = "/crm/viewInLineImage?fileContent="
_SOURCE = r"(<img\b[^<>]*?(?<![\w-])src\s*=\s*[\"']?)"
_NAMED = re.compile(rf"{_SOURCE}cid:([^\"'\s<>]*)", re.IGNORECASE)
_UPLOADED = re.compile(
    # What may come before the path is bounded: so the work grows with the length only.
    rf"{_SOURCE}(?:https?://[\w.:\[\]-]{{1,100}})?{re.escape(_PATH)}[^\"'\s<>]*",
    re.IGNORECASE,
)


def image_address(api_domain: str, file_id: str) -> str:
    """Return the address of an image that was uploaded."""
    return f"{api_domain}{_PATH}{quote(file_id, safe='')}"


def image_names(html: str) -> set[str]:
    """Return the names of the images that a content shows."""
    return {found[2] for found in _NAMED.finditer(html)}


def with_addresses(html: str, addresses: Mapping[str, str]) -> str:
    """
    Put addresses for the names of images.

    :param addresses: by name, of all that the content shows.
    """
    return _NAMED.sub(lambda found: found[1] + addresses[found[2]], html)


def without_images(html: str) -> str:
    """Return a content that is the same before and after its images were uploaded, however often that was."""
    return _NAMED.sub(r"\1", _UPLOADED.sub(r"\1", html))
