"""Paths of files and images; rows and other tasks may only name those below the allowed folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.text import quoted
from airflow_provider_bigin.compose.images import named_images
from airflow_provider_bigin.hooks.paths import list_paths, to_path, to_paths

if TYPE_CHECKING:
    from airflow_provider_bigin.api.files import File

#: No control characters: Airflow's path drops some of them, which can turn something else into ``..``.
_URL = re.compile(r"(?P<place>[^:/\x00-\x1f]+://[^/\x00-\x1f]*)/(?P<path>[^\x00-\x1f]*)")


def read_files(value: Any, root: Any, *, is_data: bool) -> list[File]:
    """
    Read ``files``.

    :param value: anything that :func:`~airflow_provider_bigin.hooks.paths.to_paths` accepts.
    :param root: see :func:`files_below`.
    :param is_data: whether the paths come from someone other than the DAG's author.
    """
    return files_below(value, root) if is_data else to_paths(value, "files")


def read_images(value: Any, root: Any, *, is_data: bool) -> dict[str, File]:
    """Read ``images``, keyed by name; otherwise like :func:`read_files`."""
    return {
        name: files_below([path], root, "images")[0] if is_data else to_path(path, "images")
        for name, path in named_images(value).items()
    }


def files_below(value: Any, root: Any, field: str = "files") -> list[File]:
    """
    Read one or more paths that come from someone other than the DAG's author.

    :param value: anything that :func:`~airflow_provider_bigin.hooks.paths.to_paths` accepts; relative paths
        are resolved against ``root``.
    :param root: directory, or URL prefix such as ``s3://conn@bucket/reports``.
    :param field: name of the argument, for error messages.
    :raises BiginValidationError: if something is not a path, or not below ``root`` once links are resolved,
        or if there is no ``root``.
    """
    paths = [_plain(path) for path in list_paths(value, field)]
    if paths and root in (None, ""):
        raise BiginValidationError(
            f"{field}: rows and outputs of other tasks can only name files below files_root, which is not set"
        )
    return [_file_below(path, _plain(root), field) for path in paths]


def _file_below(path: str, root: str, field: str) -> File:
    file = _object_below(path, root) if "://" in root else _local_below(path, Path(root).resolve())
    if file is None:
        raise BiginValidationError(f"{field}: {quoted(path)} is not below files_root, {root!r}")
    return file


def _local_below(path: str, root: Path) -> File | None:
    """Return the file with all links resolved, so that changing a link later cannot redirect it."""
    try:
        file = (root / path).resolve()
    except (OSError, RuntimeError, ValueError):  # too long, circular links, a NUL character
        return None
    return file if "://" not in path and root in file.parents else None


def _object_below(path: str, root: str) -> File | None:
    # Object storage has no links, but some of it follows `..`, and fsspec chains URLs with `::`.
    base = _URL.fullmatch(f"{root.rstrip('/')}/")
    url = _URL.fullmatch(path if "://" in path else f"{root.rstrip('/')}/{path}")
    if not base or not url or url["place"] != base["place"] or not url["path"].startswith(base["path"]):
        return None
    below = url["path"].removeprefix(base["path"])
    parts = re.split(r"[/\\]", unquote(below))
    if parts[0] == "" or ".." in parts or "." in parts or "::" in below:
        return None
    file: File = to_path(url[0], "files")
    return file


def _plain(path: Any) -> str:
    """Return a path as text, without the scheme of a local file. It is not resolved yet."""
    return re.sub(r"^(file|local)://", "", str(path))
