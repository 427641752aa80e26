"""The images that a mail shows in its text, by the names that its author gave them."""

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
    Read the ``images`` argument, without looking at the paths.

    :param value: dict of paths by name; None and ``""`` mean no images.
    :raises BiginValidationError: if it is anything else.
    """
    if value is None or value == "":
        return {}
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return dict(value)
    raise BiginValidationError(f"images: {quoted(value)} is not a dict of paths by name")


def check_images(mail: Mail, images: Collection[str]) -> None:
    """
    Check that a mail shows all of its images and no others.

    :raises BiginValidationError: if it does not; names the image.
    """
    shown = image_names(mail.content) if mail.mail_format == "html" else set()
    if unknown := shown.difference(images):
        raise BiginValidationError(
            f'content: it shows the image {quoted(min(unknown))} (src="cid:..."), which is not in images'
        )
    if unused := set(images) - shown:
        raise BiginValidationError(
            f'images: {quoted(min(unused))} is not shown; put <img src="cid:..."> with its name in the'
            " content of an html mail, or leave it out"
        )


def with_uploaded(mail: Mail, addresses: Mapping[str, str]) -> Mail:
    """
    Return a mail that shows the images that were uploaded for it.

    :param addresses: addresses of all its images, by name.
    :raises BiginValidationError: if the addresses make it too long.
    """
    if not addresses:
        return mail
    content = with_addresses(mail.content, addresses)
    if len(content) > MAX_CONTENT_LENGTH:
        raise BiginValidationError(
            f"content: it has {len(content):,} characters with the addresses of its images, but Bigin allows"
            f" only {MAX_CONTENT_LENGTH:,}"
        )
    return replace(mail, content=content)
