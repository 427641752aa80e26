"""Paths as users write them: local ones and object storage URLs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow_provider_bigin.api.errors import BiginValidationError
from airflow_provider_bigin.api.text import quoted
from airflow_provider_bigin.version_compat import object_storage_path


def to_paths(value: Any, field: str) -> list[Any]:
    """
    Read one or more paths: local ones, or object storage URLs such as ``s3://conn@bucket/report.pdf``.

    :param value: text, a path object, or a list of these; None means no path.
    :param field: the name of the argument, for the error.
    :raises BiginValidationError: if anything is not a valid path.
    """
    return [to_path(item, field) for item in list_paths(value, field)]


def list_paths(value: Any, field: str) -> list[Any]:
    """List one or more paths as they are written; otherwise like :func:`to_paths`."""
    if value is None or value == "":
        return []
    if isinstance(value, (str, os.PathLike)) or hasattr(value, "protocol"):
        return [value]
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, dict)):
        return list(value)
    raise BiginValidationError(f"{field}: {quoted(value)} is not a valid path or list of paths")


def to_path(value: Any, field: str) -> Any:
    """Read one path; see :func:`to_paths`."""
    if hasattr(value, "protocol"):  # an ObjectStoragePath
        return value
    if not isinstance(value, (str, os.PathLike)) or not str(value).strip():
        raise BiginValidationError(f"{field}: {quoted(value)} is not a valid path")
    return object_storage_path(str(value)) if "://" in str(value) else Path(value)
