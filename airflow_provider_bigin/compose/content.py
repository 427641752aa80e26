"""Read ``content`` from a template file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_bigin.api.errors import BiginValidationError

if TYPE_CHECKING:
    import jinja2

#: Extensions that make ``content`` the name of a file in the template search path.
CONTENT_EXTENSIONS = (".html", ".txt", ".md", ".jinja2", ".j2")

_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")


def read_content(content: str, environment: jinja2.Environment) -> str:
    """
    Return the template that the DAG's author passed as ``content``: the text itself, or that of a file.

    Never call this with a value from a row or another task.

    :param content: the argument as written, not yet rendered.
    :param environment: environment whose loader knows the DAG's template search path.
    :raises BiginValidationError: if there is no such file, or the text looks like a file name.
    """
    if content.endswith(CONTENT_EXTENSIONS) and "\n" not in content:
        return _read_file(content, environment)
    if looks_like_file_name(content):
        raise BiginValidationError(
            f"content: {content!r} looks like a file name, but a template file must end in one of"
            f" {', '.join(CONTENT_EXTENSIONS)}. If it is the text itself, end it with a space"
        )
    return content


def looks_like_file_name(content: str) -> bool:
    """Return whether a text is probably a file name: one word, no tags, with an extension or a path."""
    word = _EXPRESSION.sub("", content)
    if not word or re.search(r"[\s<>]", word) or "://" in word:
        return False
    return bool(re.search(r"[/\\]|[^.]\.[A-Za-z][A-Za-z0-9]{0,9}$", word))


def _read_file(name: str, environment: jinja2.Environment) -> str:
    import jinja2

    try:
        if environment.loader is None:
            raise jinja2.TemplateNotFound(name)
        return environment.loader.get_source(environment, name)[0]
    except jinja2.TemplateNotFound:
        raise BiginValidationError(
            f"content: template file {name!r} not found, neither next to the DAG file nor in the DAG's"
            " template_searchpath. If it is the text itself, end it with a space"
        ) from None
