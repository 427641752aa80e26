"""Call blocking code from an event loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from asgiref.sync import sync_to_async

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: object) -> T:
    """
    Call a function in a thread from which Airflow's connections and Variables can be read.

    In a triggerer before Airflow 3.3, these come over a socket that belongs to the event loop. asgiref's
    threads can get back to it; a read from an ``asyncio.to_thread`` thread mixes up the responses, and the
    triggerer dies.
    """
    return await sync_to_async(function, thread_sensitive=False)(*args)
