"""Triggers that wait for Bigin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bigin.utils.threads import in_thread


class BiginMailStatusTrigger(BaseTrigger):
    """
    Wait until a mail reaches one of the wanted states.

    It has no state besides its arguments: when restarted, it continues to wait. It checks at once, then every
    ``poke_interval``, each time with one request in a thread; between checks it only sleeps.

    It fires ``{"status": ...}`` with the state, or ``{"error": ...}`` with the reason why it stopped waiting.

    :param message_id: id of the mail.
    :param record_id: id of the record that it is filed under.
    :param module: API name of the record's module.
    :param status: the wanted states.
    :param bigin_conn_id: id of the connection.
    :param poke_interval: seconds between checks.
    """

    def __init__(
        self,
        *,
        message_id: str,
        record_id: str,
        module: str,
        status: Sequence[str],
        bigin_conn_id: str,
        poke_interval: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.message_id = message_id
        self.record_id = record_id
        self.module = module
        self.status = list(status)
        self.bigin_conn_id = bigin_conn_id
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what a triggerer needs to create this trigger again."""
        return (
            "airflow_provider_bigin.triggers.bigin.BiginMailStatusTrigger",
            {
                "message_id": self.message_id,
                "record_id": self.record_id,
                "module": self.module,
                "status": self.status,
                "bigin_conn_id": self.bigin_conn_id,
                "poke_interval": self.poke_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Check and sleep until there is something to report."""
        while True:
            news = await in_thread(self._look)
            if news:
                yield TriggerEvent(news)  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.poke_interval)

    def _look(self) -> dict[str, str] | None:
        from airflow_provider_bigin.api.errors import BiginError
        from airflow_provider_bigin.api.mail_status import look_for_status
        from airflow_provider_bigin.hooks.bigin import BiginHook

        try:
            client = BiginHook(self.bigin_conn_id).get_conn()
            try:
                status = look_for_status(client, self.module, self.record_id, self.message_id, self.status)
            finally:
                client.close()
        except BiginError as error:
            return {"error": str(error)}
        return {"status": status} if status else None
