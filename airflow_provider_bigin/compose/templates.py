"""Subject and content, compiled once per run and rendered for each row."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import jinja2

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.text import excerpt

if TYPE_CHECKING:
    from airflow.sdk import Context


class RowTemplates:
    """
    The templates of a run.

    In the content of an ``html`` mail, all values are escaped; ``| safe`` opts out.

    :param environment: a sandboxed Jinja environment.
    :param context: Airflow's context, to which each row is added as ``mail``.
    :param sources: ``subject`` and ``content``, or one of them.
    :raises BiginValidationError: if one is not a valid template.
    """

    def __init__(self, environment: jinja2.Environment, context: Context, sources: Mapping[str, str]) -> None:
        plain = environment.overlay(autoescape=False)
        escaping = environment.overlay(autoescape=True)
        self._texts = {name: _compile(plain, source, name) for name, source in sources.items()}
        self._html = {
            name: _compile(escaping, source, name) if name == "content" else self._texts[name]
            for name, source in sources.items()
        }
        with warnings.catch_warnings():
            # Airflow 2 warns about deprecated variables when they are copied, not when they are used.
            warnings.simplefilter("ignore")
            self._variables = dict(context)

    def render(
        self, row: Mapping[str, Any], mail_format: Any, *, leave: Collection[str] = ()
    ) -> dict[str, str]:
        """
        Render the templates with a row, except those of the fields to leave alone.

        :raises BiginValidationError: if a field cannot be rendered with this row; names the field.
        """
        templates = self._texts if mail_format == "text" else self._html
        return {
            name: self._render(template, row, name)
            for name, template in templates.items()
            if name not in leave
        }

    def _render(self, template: jinja2.Template, row: Mapping[str, Any], field: str) -> str:
        try:
            return template.render({**self._variables, "mail": row})
        except Exception as error:  # whatever goes wrong in a template is its row's error
            raise BiginValidationError(
                f"{field}: the template cannot be rendered ({excerpt(f'{type(error).__name__}: {error}')})"
            ) from error


def _compile(environment: jinja2.Environment, source: str, field: str) -> jinja2.Template:
    try:
        return environment.from_string(source)
    except jinja2.TemplateSyntaxError as error:
        raise BiginValidationError(
            f"{field}: not a valid template: {error.message} (line {error.lineno})"
        ) from error
