"""The operator that sends one mail."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_bigin.compose.arguments import MAIL_FIELDS
from airflow_provider_bigin.operators.base import BiginMailOperator, ends_try

if TYPE_CHECKING:
    import os
    from datetime import datetime

    import jinja2
    from airflow.sdk import Context

    from airflow_provider_bigin.api.errors import BiginError
    from airflow_provider_bigin.compose.messages import Completion
    from airflow_provider_bigin.delivery.doubts import Reply
    from airflow_provider_bigin.delivery.message import Draft


class BiginSendMailOperator(BiginMailOperator):
    """
    Send a mail from a record in Bigin: once, however often the task is retried.

    .. seealso::
        https://www.bigin.com/developer/docs/apis/v2/send-mail.html

    .. code-block:: python

        BiginSendMailOperator(
            task_id="welcome",
            record_id="5000000000000000101",
            to="Ada Lovelace <ada.lovelace@example.org>",
            subject="Welcome",
            content="welcome.html",
        )

    An address is ``"Name <a@b.c>"`` or ``"a@b.c"``; several are a list or comma-separated text. The API's own
    ``{"user_name": ..., "email": ...}`` is accepted, too.

    Arguments are templates if they are written in the DAG. What comes from another task, as its output or by
    mapping, is data: it is not rendered and cannot name a template file.

    Errors that a later try may cure are raised as they are, so that Airflow retries; all others fail the task
    at once.

    :param to: recipients, at most 50. (templated)
    :param record_id: id of the record that the mail is filed under, or its URL in Bigin; by default, the one
        record of the module that has the first recipient's address. (templated)
    :param subject: at most 1,000 characters. (templated)
    :param content: the text, at most 100,000 characters, or the name of a template file that ends in
        ``.html``, ``.txt``, ``.md``, ``.jinja2``, or ``.j2``. (templated)
    :param module: ``Contacts``, ``Companies``, or ``Deals``, or their names in the API. (templated)
    :param cc: recipients of a copy, at most 50. (templated)
    :param bcc: recipients of a blind copy, at most 50. (templated)
    :param from_email: sender; by default the connection's, or else the account's default from-address.
        (templated)
    :param reply_to: address for replies. (templated)
    :param mail_format: ``html`` or ``text``. (templated)
    :param org_email: send from the organization's address, through Zoho's servers. (templated)
    :param scheduled_time: when Bigin should send the mail: an aware datetime or ISO 8601 text with an offset;
        at once if not given. (templated)
    :param attachments: ids of files that are already uploaded. (templated)
    :param files: paths of local files, or URLs of Airflow's object storage, to upload and attach. (templated)
    :param images: paths of images to show in the text of an ``html`` mail, by name: ``<img src="cid:chart">``
        shows that of ``{"chart": path}``. (templated)
    :param files_root: directory or URL prefix that must contain ``files`` and ``images`` if they come from
        another task. (templated)
    :param bigin_conn_id: id of the connection. (templated)
    :param dry_run: check everything, log who would get the mail, and send nothing.
    :param durable: remember across retries what was sent. Without it, a retry after a lost response may send
        a second mail.
    :param on_unknown_outcome: what to do if it is unknown whether the mail was sent. ``check`` sends again
        only if the mail is certainly not among its record's e-mails, and otherwise fails without a retry;
        ``fail`` never sends again without a person; ``resend`` sends again unless the mail is found; ``ask``,
        on Airflow 3.1 and later, does the same as ``check``, but asks a person where that fails. (templated)
    :param ask_timeout: how long to wait for an answer; after that, the task proceeds as with ``check``.
    :param ask_users: who may answer, as ``{"id": ..., "name": ...}``; by default, anyone who may answer the
        DAG's questions.
    :param ask_notifiers: notifiers to call with the question; its address is ``{{ question.url }}``.
    :param limit_wait: how long the task may wait in total for limits that last longer than a minute (daily
        mails, API credits, access tokens). It waits without a worker slot and without using up retries, on
        Airflow 3.1.7 and later. With None it never waits: the try fails.
    :param mark_text: end ``text`` mails with a line that identifies them; ``html`` mails carry it invisibly.
    :return: the ``message_id``, also pushed to XCom under that key; None from a dry run.
    """

    template_fields: Collection[str] = (*MAIL_FIELDS, "files_root", "bigin_conn_id", "on_unknown_outcome")
    template_fields_renderers: ClassVar[dict[str, str]] = {"content": "html"}
    author_only: ClassVar[dict[str, Any]] = {"files_root": None}

    def __init__(
        self,
        *,
        to: Any,
        record_id: str | None = None,
        subject: str = "",
        content: str = "",
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
        files_root: str | os.PathLike[str] | None = None,
        bigin_conn_id: str = "bigin_default",
        dry_run: bool = False,
        durable: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.record_id = record_id
        self.module = module
        self.to = to
        self.cc = cc
        self.bcc = bcc
        self.from_email = from_email
        self.reply_to = reply_to
        self.subject = subject
        self.content = content
        self.mail_format = mail_format
        self.org_email = org_email
        self.scheduled_time = scheduled_time
        self.attachments = attachments
        self.files = files
        self.images = images
        self.files_root = files_root
        self.bigin_conn_id = bigin_conn_id
        self.is_dry_run = dry_run  # BaseOperator has a method of that name
        self.durable = durable

    @ends_try
    def execute(self, context: Context) -> str | None:
        """Send the mail, or find that an earlier try sent it, and return its ``message_id``."""
        return self._deliver(context)

    def may_retry(self, error: BiginError) -> bool:
        """Also retry if it is unknown whether the mail was sent, where that may mail twice."""
        return super().may_retry(error) or (not self.durable and error.sent == "unknown")

    def _deliver(self, context: Context, reply: Reply | None = None) -> str | None:
        from airflow_provider_bigin.compose.messages import Completion
        from airflow_provider_bigin.compose.rows import SingleMail
        from airflow_provider_bigin.delivery.limiter import ConcurrencyLimiter
        from airflow_provider_bigin.operators.question import about_one

        draft = self._draft()
        completion = Completion(self.hook)
        if self.is_dry_run:
            self._log_dry_run(draft, completion)
            return None
        if not self.durable:
            message = completion(draft)
            message_id = self.hook.post_mail(message.record, message.mail).message_id
            self.hand_over(context, message_id, message_id=message_id)
            return message_id
        limiter = ConcurrencyLimiter(1, self.hook.clock)
        with self.delivery(SingleMail(draft, completion), context, limiter, reply=reply) as delivery:
            [outcome] = delivery.deliver()
            self.wait_for_limit(delivery, [outcome])
            if delivery.doubts:
                self.log.warning("%s", outcome.error)
                self.ask(context, delivery, about_one(outcome))
            if outcome.error:
                raise outcome.error
            self.hand_over(context, outcome.message_id, message_id=outcome.message_id)
            delivery.complete()
            return outcome.message_id

    def _draft(self) -> Draft:
        """Check all arguments that can be checked without a request."""
        from airflow_provider_bigin.compose.arguments import compose_draft, mail_arguments

        self.check_unknown_outcome()
        return compose_draft(mail_arguments(self), *self.read_files())

    def _log_dry_run(self, draft: Draft, completion: Completion) -> None:
        completion.check_files(draft)
        mail = draft.mail
        sender = mail.sender or self.hook.settings.from_email
        lines = {
            "Record": str(draft.record),
            "From": str(sender or "the account's default from-address"),
            "To": ", ".join(map(str, mail.to)),
            "Cc": ", ".join(map(str, mail.cc)),
            "Bcc": ", ".join(map(str, mail.bcc)),
            "All sent to": self.hook.settings.redirect_to,
            "Subject": mail.subject,
            "Content": f"{len(mail.content)} characters of {mail.mail_format}",
            "Images": ", ".join(map(str, draft.images.values())),
            "Attachments": ", ".join((*mail.attachments, *map(str, draft.files))),
            "Scheduled": mail.scheduled_time,
        }
        self.log.info("Dry run: nothing is sent.")
        for name, text in lines.items():
            if text:
                self.log.info("%-12s %s", f"{name}:", text)

    def _fields_to_render(
        self, template_fields: list[str], context: Context, jinja_env: jinja2.Environment
    ) -> list[str]:
        """
        Also read ``content`` from its template file, and name mapped tasks after their record.

        ``template_ext`` would read every field from files, even a ``files`` entry or a subject that ends in
        ``.html``.
        """
        from airflow_provider_bigin.compose.content import read_content

        rendered = super()._fields_to_render(template_fields, context, jinja_env)
        if "content" in rendered and isinstance(self.content, str):
            self.content = read_content(self.content, jinja_env)
        is_mapped = getattr(context.get("ti"), "map_index", None) not in (None, -1)
        if is_mapped and not context.get("map_index_template"):
            # Airflow reads it from here; setting a mapped operator's own attribute is too late.
            context["map_index_template"] = "{{ (task.record_id or task.to) | string | truncate(100) }}"
        return rendered
