"""The images that a mail shows in its text, by the names that its author gives them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.images import image_names, with_addresses
from airflow_provider_bigin.api.mail import MAX_CONTENT_LENGTH, Mail
from airflow_provider_bigin.api.text import quoted


def named_images(value: Any) -> dict[str, Any]:
    """
    Read the argument ``images``, without looking at the paths.

    :param value: path by name; None and ``""`` are no images.
    :raises BiginValidationError: if it is anything else.
    """
    if value is None or value == "":
        return {}
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return dict(value)
    raise BiginValidationError(f"images: {quoted(value)} is not a dict of paths by name")


def check_images(mail: Mail, images: Collection[str]) -> None:
    """
    Make sure that a mail shows all of its images and no others.

    :raises BiginValidationError: naming the one.
    """
    shown = image_names(mail.content) if mail.mail_format == "html" else set()
    if unknown := shown.difference(images):
        raise BiginValidationError(
            f'content: it shows an image {quoted(min(unknown))} (src="cid:...") that images does not name'
        )
    if unused := set(images) - shown:
        raise BiginValidationError(
            f'images: {quoted(min(unused))} is not shown; put <img src="cid:..."> with its name into the'
            " content of an html mail, or leave it out"
        )


def with_uploaded(mail: Mail, addresses: Mapping[str, str]) -> Mail:
    """
    Let a mail show the images that were uploaded for it.

    :param addresses: by name, of all its images.
    :raises BiginValidationError: if the addresses make it too long.
    """
    if not addresses:
        return mail
    content = with_addresses(mail.content, addresses)
    if len(content) > MAX_CONTENT_LENGTH:
        raise BiginValidationError(
            f"content: {len(content):,} characters with the addresses of its images, but Bigin allows"
            f" {MAX_CONTENT_LENGTH:,}"
        )
    return replace(mail, content=content)
