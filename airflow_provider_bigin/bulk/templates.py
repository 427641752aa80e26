"""Subject and content, compiled once in a run and rendered for each row."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jinja2

from airflow_provider_bigin.api.errors import BiginInvalidMailError

if TYPE_CHECKING:
    from airflow.sdk import Context


class RowTemplates:
    """
    The templates of a run.

    In the content of an ``html`` mail all values are escaped; ``| safe`` opts out.

    :param environment: a sandboxed Jinja environment.
    :param context: Airflow's; a row is added to it as ``mail``.
    :param subject: source of the subject.
    :param content: source of the content.
    :raises BiginInvalidMailError: if one is no template.
    """

    def __init__(
        self, environment: jinja2.Environment, context: Context, *, subject: str, content: str
    ) -> None:
        plain = environment.overlay(autoescape=False)
        escaping = environment.overlay(autoescape=True)
        self._subject = _compile(plain, subject, "subject")
        self._contents = {
            "text": _compile(plain, content, "content"),
            "html": _compile(escaping, content, "content"),
        }
        with warnings.catch_warnings():
            # Airflow 2 warns of deprecated variables when they are copied, not when they are used.
            warnings.simplefilter("ignore")
            self._variables = dict(context)

    def subject(self, row: Mapping[str, Any]) -> str:
        """
        Render the subject.

        :raises BiginInvalidMailError: if it cannot be rendered with this row.
        """
        return self._render(self._subject, row, "subject")

    def content(self, row: Mapping[str, Any], mail_format: Any) -> str:
        """Render the content; otherwise as :meth:`subject`."""
        return self._render(self._contents.get(mail_format, self._contents["html"]), row, "content")

    def _render(self, template: jinja2.Template, row: Mapping[str, Any], field: str) -> str:
        try:
            return template.render({**self._variables, "mail": row})
        except Exception as error:  # whatever a template runs into is its row's error
            raise BiginInvalidMailError(
                f"{field}: the template cannot be rendered ({type(error).__name__}: {error})"
            ) from error


def _compile(environment: jinja2.Environment, source: str, field: str) -> jinja2.Template:
    try:
        return environment.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise BiginInvalidMailError(f"{field}: no template: {error.message} (line {error.lineno})") from error
