"""
Where access tokens are stored for other processes: a cache in files, and one that is private to this process.

A cache stores text that is already encrypted, and may lose it at any time.
"""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Protocol

#: Seconds after which a process waiting for the lock checks whether there is a token.
LOCK_TIMEOUT = 1.0
#: Maximum characters of an entry.
MAX_ENTRY_SIZE = 100_000


class TokenCache(Protocol):
    """Store text under a name, for every process that may use it."""

    def read(self, name: str) -> str | None:
        """Return the text, or None if there is none."""

    def write(self, name: str, text: str) -> None:
        """Store the text for all processes."""

    def lock(self, name: str, *, despite: str | None = None) -> AbstractContextManager[object]:
        """
        Keep all other processes away from the name.

        Entering it raises TimeoutError if another one has the lock. The error's text names the holder.

        :param despite: a holder that is frozen or dead, and no longer counts.
        """


class MemoryTokenCache:
    """Keep each text in this process only."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def read(self, name: str) -> str | None:
        """Return the text, or None if there is none."""
        return self._texts.get(name)

    def write(self, name: str, text: str) -> None:
        """Replace the text."""
        self._texts[name] = text

    def lock(self, name: str, *, despite: str | None = None) -> AbstractContextManager[object]:
        """Let everyone through: a process has one :class:`SharedToken` for each client."""
        return nullcontext()


class FileTokenCache:
    """
    Keep each text in a file that only its owner can read.

    :param directory: a private directory; it is created with mode 0700 when it is first needed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def read(self, name: str) -> str | None:
        """
        Return the text, or None if there is none.

        :raises OSError: if it is not a file or is too large, or if another user owns it or can read it.
        """
        path = self.directory / name
        try:
            with open(path, encoding="utf-8", opener=_open_at_once) as file:
                _refuse_foreign(file.fileno(), path)
                text = file.read(MAX_ENTRY_SIZE + 1)
        except FileNotFoundError:
            return None
        if len(text) > MAX_ENTRY_SIZE:
            raise OSError(f"{path} is too large")
        return text

    def write(self, name: str, text: str) -> None:
        """Replace the text atomically, so that a reader sees either the old one or the new one."""
        descriptor, temporary = tempfile.mkstemp(dir=self._made_directory(), prefix=f"{name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, self.directory / name)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise

    def lock(self, name: str, *, despite: str | None = None) -> AbstractContextManager[object]:
        """
        Keep this machine's other processes away from the name; the lock dies with the process that holds it.

        It cannot be taken from a frozen process, so whoever no longer waits for that one passes without it.
        """
        from filelock import FileLock

        path = self._made_directory() / f"{name}.lock"
        return nullcontext() if despite else FileLock(path, timeout=LOCK_TIMEOUT, mode=0o600)

    def _made_directory(self) -> Path:
        """
        Create the directory, closed to other users, if it does not exist.

        :raises PermissionError: if it exists and another user owns it or can write to it.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.directory.stat()
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError(f"{self.directory} belongs to another user or is open to others")
        return self.directory


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without following a link or waiting for the other end of a pipe."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _refuse_foreign(descriptor: int, path: Path) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is not a regular file")
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PermissionError(f"{path} belongs to another user or is open to others")
