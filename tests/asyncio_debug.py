"""Run coroutines in asyncio's debug mode, which reports what blocked the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

#: Seconds that a callback may hold the loop. A machine under load may hold it for a moment by itself, so what
#: must not block is made slower than this in the tests.
MAX_BLOCK = 0.5


def run_and_find_blocking(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, list[str]]:
    """Run a coroutine and return its result and asyncio's complaints."""
    complaints: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    async def watched() -> Any:
        asyncio.get_running_loop().slow_callback_duration = MAX_BLOCK
        return await coroutine

    logger, listener = logging.getLogger("asyncio"), Listener(logging.WARNING)
    was_disabled, logger.disabled = logger.disabled, False
    logger.addHandler(listener)
    try:
        result = asyncio.run(watched(), debug=True)
    finally:
        logger.removeHandler(listener)
        logger.disabled = was_disabled
    return result, [complaint for complaint in complaints if complaint.startswith("Executing")]
