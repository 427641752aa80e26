"""
Processes that are killed while they write to the token cache, one at each line they run.

``python -m tests.processes.killed_writers DIRECTORY`` prints what the cache holds after each of them.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

from airflow_provider_bigin.api import token_cache

NAME, OLD, NEW = "access_token_0123", "old" * 100, "new" * 100


def main(directory: Path) -> None:
    cache = token_cache.FileTokenCache(directory)
    was_killed, line = True, 0
    while was_killed:
        line += 1
        with cache.lock(NAME):
            cache.write(NAME, OLD)
        was_killed = os.WIFSIGNALED(_status_of_writer(cache, line))
        print(cache.read(NAME))


def _status_of_writer(cache: token_cache.FileTokenCache, last_line: int) -> int:
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1]
    sys.settrace(_Killer(last_line))
    with cache.lock(NAME):
        cache.write(NAME, NEW)
    os._exit(0)


class _Killer:
    """A trace function that kills its process at a line of the cache or of its file-writing helpers."""

    files = (token_cache.__file__, tempfile.__file__)

    def __init__(self, last_line: int) -> None:
        self._left = last_line

    def __call__(self, frame: FrameType, event: str, argument: Any) -> _Killer | None:
        if frame.f_code.co_filename not in self.files:
            return None
        if event == "line":
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


if __name__ == "__main__":
    main(Path(sys.argv[1]))
