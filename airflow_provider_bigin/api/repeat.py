"""One POST, repeated only while it definitely did not run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from airflow_provider_bigin.api.clock import Clock
from airflow_provider_bigin.api.errors import (
    BiginConnectionError,
    BiginCreditLimitError,
    BiginError,
    BiginRateLimitError,
    BiginServerError,
    BiginTokenLimitError,
)

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

#: How often a POST is made within one try, and the longest pause in seconds: longer problems are left to
#: Airflow's own retries.
MAX_ATTEMPTS = 6
MAX_PAUSE = 60.0


def send_repeatedly(send: Callable[[], Answer], *, clock: Clock) -> Answer:
    """
    Send, and repeat as long as Bigin definitely did not send.

    That is: it was not reached, or refused for a temporary reason before it began.

    :param send: announces and makes one POST.
    :param clock: waits.
    :raises BiginError: the last one, unchanged.
    """
    retrying = Retrying(
        retry=retry_if_exception(may_be_repeated),
        stop=stop_after_attempt(MAX_ATTEMPTS),
        wait=_pause,
        sleep=clock.sleep,
        before_sleep=_log_repeat,
        reraise=True,
    )
    return retrying(send)


def may_be_repeated(error: BaseException) -> bool:
    """Return whether the mail was definitely not sent, and may be sent some seconds later."""
    return (
        isinstance(error, (BiginRateLimitError, BiginConnectionError, BiginServerError))
        and not isinstance(error, (BiginCreditLimitError, BiginTokenLimitError))
        and error.sent == "no"
        and (error.retry_after or 0) <= MAX_PAUSE
    )


_exponential_pause = wait_random_exponential(multiplier=1, max=MAX_PAUSE)


def _pause(state: RetryCallState) -> float:
    """Back off exponentially with jitter, for no less than the server asks for."""
    return max(_exponential_pause(state), _error(state).retry_after or 0)


def _log_repeat(state: RetryCallState) -> None:
    error, pause = _error(state), state.next_action.sleep if state.next_action else 0
    log.info("Not sent (%s); trying again in %.0f s.", error.code or type(error).__name__, pause)


def _error(state: RetryCallState) -> BiginError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, BiginError):
        raise TypeError("only requests that fail with a BiginError are repeated")
    return error
