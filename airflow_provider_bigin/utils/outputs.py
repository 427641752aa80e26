"""Files that tasks write, locally or wherever Airflow's object storage reaches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.hooks.paths import to_path


def to_output_path(value: Any, field: str, extensions: Sequence[str]) -> Any:
    """
    Read the path of a file to write.

    :param value: a path or URL; see :func:`~airflow_provider_bigin.hooks.paths.to_path`.
    :param field: name of the argument, for error messages.
    :param extensions: extensions that the file may have.
    :raises BiginConfigurationError: if it has another extension, or nothing that is installed can access it.
    """
    path = to_path(value, field)
    if path.suffix.lower() not in extensions:
        raise BiginConfigurationError(f"{field}: {str(path)!r} must end in {' or '.join(extensions)}")
    try:
        _ = getattr(path, "fs", None)  # else looked for when it is opened, after all mails were sent
    except (ImportError, ValueError) as error:
        raise BiginConfigurationError(
            f"{field}: {str(path)!r} cannot be written ({error}); install Airflow's provider for this storage"
        ) from error
    return path


def open_output(path: Any) -> IO[str]:
    """
    Open a file for writing, replacing what is there. A local file is readable only by its owner.

    :param path: path as returned by :func:`to_output_path`.
    """
    if getattr(path, "protocol", "file") == "file":
        _make_private(Path(getattr(path, "path", path)))
    file: IO[str] = path.open("w", encoding="utf-8", newline="")
    return file


def _make_private(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o600)
    path.chmod(0o600)  # of a file that already existed
