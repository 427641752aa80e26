"""Sensors that wait for Bigin."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf

from airflow_provider_bigin.api.errors import BiginError
from airflow_provider_bigin.operators.base import BiginOperator, ends_try
from airflow_provider_bigin.version_compat import AirflowFailException, BaseSensorOperator, PokeReturnValue

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Seconds between checks: mails are not read within seconds, and each check is a request.
POKE_INTERVAL = 300.0


class BiginMailStatusSensor(BiginOperator, BaseSensorOperator):
    """
    Wait until a mail is sent, opened, or in another state that Bigin reports.

    .. code-block:: python

        BiginMailStatusSensor(
            task_id="was_read",
            message_id="{{ ti.xcom_pull(task_ids='welcome') }}",
            record_id="5000000000000000101",
            deferrable=True,
            timeout=3 * 24 * 3600,
            soft_fail=True,
        )

    A mail that bounced fails the task at once, with the reason, as does any error that a later check cannot
    cure. A temporary error (a lost connection, a rate limit) only costs one check.

    :param message_id: id of the mail, as the operators return it. (templated)
    :param record_id: id of the record that the mail is filed under. (templated)
    :param module: ``Contacts``, ``Companies``, or ``Deals``, or their names in the API. (templated)
    :param status: the state to wait for, such as ``sent`` or ``opened``, or several, any of which is enough.
        A mail that was opened was sent. If they include ``bounced``, a bounce is not a failure. (templated)
    :param bigin_conn_id: id of the connection; its token needs the scope ``ZohoBigin.modules.READ``, or the
        one for the record's module. (templated)
    :param deferrable: wait in the triggerer, without occupying a worker slot; ``[operators]
        default_deferrable`` if not given.
    :param poke_interval: seconds between checks, one request each.
    :return: the state that was reached.
    """

    template_fields: Collection[str] = ("message_id", "record_id", "module", "status", "bigin_conn_id")

    def __init__(
        self,
        *,
        message_id: str,
        record_id: str,
        module: str = "Contacts",
        status: str | Collection[str] = "opened",
        bigin_conn_id: str = "bigin_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = POKE_INTERVAL,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.message_id = message_id
        self.record_id = record_id
        self.module = module
        self.status = status
        self.bigin_conn_id = bigin_conn_id
        self.deferrable = deferrable

    def execute(self, context: Context) -> Any:
        """Wait here, or in the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        from airflow_provider_bigin.triggers.bigin import BiginMailStatusTrigger

        self.defer(
            trigger=BiginMailStatusTrigger(
                **self._checked_arguments(),
                bigin_conn_id=self.bigin_conn_id,
                poke_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> PokeReturnValue:
        """Check once."""
        from airflow_provider_bigin.api.mail_status import look_for_status

        arguments = self._checked_arguments()
        try:
            status = look_for_status(self.hook.get_conn(), **arguments)
        except BiginError as error:
            raise AirflowFailException(str(error)) from None
        return PokeReturnValue(status is not None, status)

    def execute_complete(self, context: Context, event: dict[str, str]) -> str:
        """Handle the event that the trigger fired."""
        if "error" in event:
            raise AirflowFailException(event["error"])
        self.log.info("The mail is %s.", event["status"])
        return event["status"]

    @ends_try
    def _checked_arguments(self) -> dict[str, Any]:
        from airflow_provider_bigin.api.mail_status import parse_message_id, parse_statuses
        from airflow_provider_bigin.api.records import parse_module, parse_record_id

        return {
            "message_id": parse_message_id(self.message_id),
            "record_id": parse_record_id(self.record_id),
            "module": parse_module(self.module),
            "status": parse_statuses(self.status),
        }
