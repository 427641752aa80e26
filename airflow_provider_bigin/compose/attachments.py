"""Paths that rows or other tasks name: only below the folder that the DAG's author allows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.text import quoted
from airflow_provider_bigin.hooks.paths import list_paths, to_path

if TYPE_CHECKING:
    from airflow_provider_bigin.api.files import File

#: Without control characters: Airflow's path drops some of them, which makes ``..`` of what was none.
_URL = re.compile(r"(?P<place>[^:/\x00-\x1f]+://[^/\x00-\x1f]*)/(?P<path>[^\x00-\x1f]*)")


def files_below(value: Any, root: Any) -> list[File]:
    """
    Read one path or several that somebody else than the DAG's author names.

    :param value: as :func:`~airflow_provider_bigin.hooks.paths.to_paths` takes it; relative paths are below
        ``root``.
    :param root: directory, or URL prefix such as ``s3://conn@bucket/reports``.
    :raises BiginValidationError: if something is not a path, or not below ``root`` once links are resolved,
        or if there is no ``root``.
    """
    paths = [_plain(path) for path in list_paths(value, "files")]
    if paths and root in (None, ""):
        raise BiginValidationError(
            "files: rows and outputs of other tasks name files only below files_root, which is not set"
        )
    return [_file_below(path, _plain(root)) for path in paths]


def _file_below(path: str, root: str) -> File:
    file = _object_below(path, root) if "://" in root else _local_below(path, Path(root).resolve())
    if file is None:
        raise BiginValidationError(f"files: {quoted(path)} is not below files_root, {root!r}")
    return file


def _local_below(path: str, root: Path) -> File | None:
    """Return the file that the path leads to, without links: one that is set later leads nowhere else."""
    try:
        file = (root / path).resolve()
    except (OSError, RuntimeError, ValueError):  # too long, links in a circle, a NUL
        return None
    return file if "://" not in path and root in file.parents else None


def _object_below(path: str, root: str) -> File | None:
    """Object storage has no links, but some of it follows ``..``, and fsspec chains URLs with ``::``."""
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
    """Write a path as text, one of a local file without its scheme. Nothing is made of it yet."""
    return re.sub(r"^(file|local)://", "", str(path))
