"""Notifier that sends a mail through Bigin about what happened to a task or a DAG."""

from __future__ import annotations

import copy
import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_bigin.api.errors import BiginError
from airflow_provider_bigin.compose.arguments import MAIL_FIELDS
from airflow_provider_bigin.utils.threads import in_thread
from airflow_provider_bigin.version_compat import BaseNotifier

if TYPE_CHECKING:
    import os
    from datetime import datetime

    import jinja2
    from airflow.sdk import Context

    from airflow_provider_bigin.api.mail import Mail
    from airflow_provider_bigin.api.records import RecordRef
    from airflow_provider_bigin.delivery.identity import Marker
    from airflow_provider_bigin.delivery.message import Draft
    from airflow_provider_bigin.hooks.bigin import BiginHook
    from airflow_provider_bigin.notifications.default_mail import Event

log = logging.getLogger(__name__)

#: The arguments of Airflow 2's ``sla_miss_callback``.
SLA_MISS = ("dag", "task_list", "blocking_task_list", "slas", "blocking_tis")
#: What templates show as the exception if the context has none, as after the loss of a task's process.
NO_EXCEPTION = "no exception is known"
#: What this process has sent: Airflow may call again within milliseconds, before Bigin lists the mail.
_sent: dict[Marker, str] = {}


class BiginNotifier(BaseNotifier):
    """
    Send a mail from a record in Bigin when something happens to a task or a DAG.

    .. code-block:: python

        with DAG("report", on_failure_callback=BiginNotifier(to="oncall@example.com")):
            ...

    The arguments are those of :class:`~airflow_provider_bigin.operators.bigin.BiginSendMailOperator`, and all
    of them are templates. One instance may serve many tasks.

    A notification that cannot be sent is logged as an error. After a failure it does nothing else, on any
    version of Airflow, so that it does not hide the failure.

    :param to: recipients. (templated)
    :param subject: the subject; by default, it names the DAG, the task, and its state. (templated)
    :param content: the text, or the name of a template file; by default, it shows the DAG, task, run, try,
        exception, and a link to the log. (templated)
    :param record_id: id of the record that the mail is filed under; by default, the connection's default
        record, or else the one record of the module that has the first recipient's address. (templated)
    :param module: module of the record. (templated)
    :param cc: recipients of a copy. (templated)
    :param bcc: recipients of a blind copy. (templated)
    :param from_email: sender; by default the connection's, or else the account's default from-address.
        (templated)
    :param reply_to: address for replies. (templated)
    :param mail_format: ``html`` or ``text``. (templated)
    :param org_email: send from the organization's address, through Zoho's servers. (templated)
    :param scheduled_time: when Bigin should send the mail; at once if not given. (templated)
    :param attachments: ids of files that are already uploaded. (templated)
    :param files: paths of files to upload and attach. (templated)
    :param images: paths of images that the content shows, by name. (templated)
    :param bigin_conn_id: id of the connection. (templated)
    :param check_sent: after a failure, send nothing if this process, or the record's e-mails of the last
        minutes, show that this notification was already sent: Airflow may call a callback twice.
    """

    template_fields: Sequence[str] = (*MAIL_FIELDS, "bigin_conn_id")

    def __init__(
        self,
        *,
        to: Any,
        subject: str | None = None,
        content: str | None = None,
        record_id: str | None = None,
        module: str = "Contacts",
        cc: Any = None,
        bcc: Any = None,
        from_email: Any = None,
        reply_to: Any = None,
        mail_format: str = "html",
        org_email: bool = False,
        scheduled_time: datetime | str | None = None,
        attachments: Sequence[str] | None = None,
        files: Sequence[str | os.PathLike[str]] | str | None = None,
        images: Mapping[str, str | os.PathLike[str]] | None = None,
        bigin_conn_id: str = "bigin_default",
        check_sent: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)  # Airflow 3.1 and later: the context, for notifiers that are awaited
        self.to = to
        self.subject = subject
        self.content = content
        self.record_id = record_id
        self.module = module
        self.cc = cc
        self.bcc = bcc
        self.from_email = from_email
        self.reply_to = reply_to
        self.mail_format = mail_format
        self.org_email = org_email
        self.scheduled_time = scheduled_time
        self.attachments = attachments
        self.files = files
        self.images = images
        self.bigin_conn_id = bigin_conn_id
        self.check_sent = check_sent
        #: What a rendered copy was made from.
        self._template: BiginNotifier | None = None

    def __call__(self, *args: Any) -> None:
        """
        Render and send.

        :param args: the context; or, from Airflow 2's ``sla_miss_callback``, what it passes instead.
        :raises Exception: whatever went wrong, unless the notification was about a failure.
        """
        from airflow_provider_bigin.notifications.default_mail import is_about_failure

        context: Any = args[0] if len(args) == 1 else dict(zip(SLA_MISS, args, strict=False))
        try:
            self._rendered(context).notify(context)
        except Exception as error:
            _log_error(error)
            if not is_about_failure(context):
                raise

    def __await__(self) -> Generator[Any, None, None]:
        """Render and send in a thread; the triggerer awaits the notifiers of deadline alerts."""
        return self._send_in_thread().__await__()

    async def _send_in_thread(self) -> None:
        try:
            rendered = await in_thread(self._rendered, self.context)
            await rendered.async_notify(self.context)
        except Exception as error:
            _log_error(error)
            raise

    def notify(self, context: Context) -> None:
        """
        Send the mail.

        :raises BiginError: if it cannot be sent, or it is unknown whether it was.
        """
        from airflow_provider_bigin.api.records import RecordSearch
        from airflow_provider_bigin.compose.messages import Completion
        from airflow_provider_bigin.delivery.identity import with_marker
        from airflow_provider_bigin.hooks.bigin import BiginHook
        from airflow_provider_bigin.notifications.default_mail import read_context

        event = read_context(context)
        draft = self._draft(event)
        hook = BiginHook(self.bigin_conn_id)
        if isinstance(draft.record, RecordSearch) and hook.settings.default_record:
            draft = replace(draft, record=hook.settings.default_record)
        completion = Completion(hook)
        marker = self._marker(event) if self.check_sent else None
        if marker and _was_sent(hook, completion.locate(draft.record), draft.mail, marker):
            return
        message = completion(draft)
        if marker:
            sent = hook.post_mail(message.record, with_marker(message.mail, marker))
            _sent[marker] = sent.message_id
        else:
            hook.post_mail(message.record, message.mail)

    async def async_notify(self, context: Context) -> None:
        """Send the mail from a thread; otherwise like :meth:`notify`."""
        await in_thread(self.notify, context)

    def _marker(self, event: Event) -> Marker | None:
        """
        Return what identifies the mail of this notifier about a failure, however often it is called for it.

        This is made from the arguments before they are rendered, because only one of the calls may know the
        exception.
        """
        from airflow_provider_bigin.delivery.identity import Marker, send_half, task_half

        if not event.failure:
            return None
        arguments = [repr(getattr(self._template or self, name)) for name in self.template_fields]
        return Marker(task_half(("notification", *event.failure)), send_half(*arguments))

    def _draft(self, event: Event) -> Draft:
        from airflow_provider_bigin.api.text import encodable
        from airflow_provider_bigin.compose.arguments import compose_draft, mail_arguments
        from airflow_provider_bigin.compose.attachments import read_files, read_images
        from airflow_provider_bigin.notifications.default_mail import as_html, as_text

        fields = mail_arguments(self)
        if self.subject is None:
            fields["subject"] = event.subject
        if self.content is None:
            fields["content"] = as_text(event) if self.mail_format == "text" else as_html(event)
        for name in ("subject", "content"):  # an exception may quote the name of a file that is not UTF-8
            fields[name] = encodable(str(fields[name]))
        files = read_files(self.files, None, is_data=False)
        images = read_images(self.images, None, is_data=False)
        return compose_draft(fields, files, images)

    def _rendered(self, context: Context) -> BiginNotifier:
        """
        Return a copy with all templates rendered.

        Airflow renders notifiers in place, so one shared by several tasks would keep the first one's text.
        """
        notifier = copy.copy(self)
        notifier._template = self
        notifier.render_template_fields(context)
        return notifier

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """
        Read ``content`` from its template file, then render.

        ``template_ext`` has no effect in notifiers. An alert must not fail over what Airflow does not tell.
        """
        from airflow_provider_bigin.compose.content import read_content

        if parent is self and isinstance(self.content, str):
            self.content = read_content(self.content, jinja_env)
        jinja_env.globals.setdefault("exception", NO_EXCEPTION)
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)


def _was_sent(hook: BiginHook, record: RecordRef, mail: Mail, marker: Marker) -> bool:
    """Return whether a mail with this marker was sent; False if that cannot be found out."""
    from airflow_provider_bigin.delivery.lookup import find_recent

    message_id = _sent.get(marker)
    if not message_id and mail.mail_format == "html":
        try:
            message_id = find_recent(hook.get_conn(), record, mail, marker)
        except Exception as error:  # whatever is wrong, people must hear of the failure
            log.warning(
                "The notification is sent although it may have been sent before: the e-mails of %s cannot be"
                " read: %s",
                record,
                error,
            )
    if message_id:
        log.info(
            "The notification is not sent again: Airflow has reported this failure before (message_id %s).",
            message_id,
        )
    return message_id is not None


def _log_error(error: Exception) -> None:
    # Bigin's errors say everything in their message; for others, the traceback matters.
    log.error("The notification failed: %s", error, exc_info=not isinstance(error, BiginError))


send_bigin_mail_notification = BiginNotifier
