"""``content`` that names a template file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_bigin.version_compat import AirflowFailException

if TYPE_CHECKING:
    import jinja2

#: What ``content`` must end in to be read from a file of the template search path.
CONTENT_EXTENSIONS = (".html", ".txt", ".md", ".jinja2")


def is_content_file(content: str) -> bool:
    """Tell a file name from a text: it has one of the extensions and one line."""
    return content.endswith(CONTENT_EXTENSIONS) and "\n" not in content


def read_content_file(name: str, jinja_env: jinja2.Environment) -> str:
    """
    Read a file of the DAG's template search path.

    :raises AirflowFailException: if it is not there.
    """
    import jinja2

    try:
        if jinja_env.loader is None:
            raise jinja2.TemplateNotFound(name)
        return jinja_env.loader.get_source(jinja_env, name)[0]
    except jinja2.TemplateNotFound:
        raise AirflowFailException(
            f"content: there is no template file {name!r}; it is looked for beside the DAG file and in the"
            " DAG's template_searchpath."
            " If it is the text itself, end it with a space"
        ) from None
