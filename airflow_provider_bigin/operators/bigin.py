"""Operators that send mail through Bigin."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_bigin.api.errors import BiginError, BiginInvalidMailError, BiginOutcomeUnknownError
from airflow_provider_bigin.operators.bulk import BiginBulkSendMailOperator
from airflow_provider_bigin.operators.content import is_content_file, read_content_file
from airflow_provider_bigin.operators.records import BiginRecordsOperator
from airflow_provider_bigin.version_compat import AirflowFailException, BaseOperator

if TYPE_CHECKING:
    import os
    from datetime import datetime

    import jinja2
    from airflow.sdk import Context

    from airflow_provider_bigin.api.files import File
    from airflow_provider_bigin.api.mail import Mail
    from airflow_provider_bigin.delivery.once import Letter, OnUnknownOutcome
    from airflow_provider_bigin.hooks.bigin import BiginHook

__all__ = ["BiginBulkSendMailOperator", "BiginRecordsOperator", "BiginSendMailOperator"]


class BiginSendMailOperator(BaseOperator):
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

    An address is ``"Name <a@b.c>"`` or ``"a@b.c"``; several are a list or text separated by commas; the API's
    own ``{"user_name": ..., "email": ...}`` is taken too.

    Errors that a later try may cure are raised as they are, so that Airflow retries; all others fail the task
    at once.

    :param record_id: id of the record that the mail is filed under. (templated)
    :param to: recipients, at most 50. (templated)
    :param subject: at most 1,000 characters. (templated)
    :param content: the text, at most 100,000 characters, or the name of a template file that ends in
        ``.html``, ``.txt``, ``.md`` or ``.jinja2``. (templated)
    :param module: ``Contacts``, ``Companies`` or ``Deals``, or their names in the API. (templated)
    :param cc: recipients of a copy, at most 50. (templated)
    :param bcc: recipients of a copy whom the others do not see, at most 50. (templated)
    :param from_email: sender; the connection's, else the account's default from-address, if not given.
        (templated)
    :param reply_to: where answers go. (templated)
    :param mail_format: ``html`` or ``text``. (templated)
    :param org_email: send from the organisation's address, by Zoho's servers. (templated)
    :param scheduled_time: when Bigin shall send the mail: an aware datetime or ISO 8601 text with offset; at
        once if not given. (templated)
    :param attachments: ids of files that are already uploaded. (templated)
    :param files: paths of local files to upload and attach. (templated)
    :param bigin_conn_id: id of the connection. (templated)
    :param dry_run: check everything, log who would get the mail, and send nothing.
    :param durable: remember over retries what was sent. Without it, a retry after a lost answer may send a
        second mail.
    :param on_unknown_outcome: what to do when it cannot be told whether the mail was sent. ``check`` sends
        again only if the mail is surely not among its record's e-mails, and otherwise fails without retry;
        ``fail`` never sends again without a person; ``resend`` sends again unless the mail is found.
    :param mark_text: end ``text`` mails with a line that identifies them; ``html`` mails carry it unseen.
    :return: the ``message_id``, also pushed to XCom under that key; None from a dry run.
    """

    template_fields: Collection[str] = (
        "record_id",
        "module",
        "to",
        "cc",
        "bcc",
        "from_email",
        "reply_to",
        "subject",
        "content",
        "mail_format",
        "org_email",
        "scheduled_time",
        "attachments",
        "files",
        "bigin_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"content": "html"}
    ui_color = "#e4f0fa"

    def __init__(
        self,
        *,
        record_id: str,
        to: Any,
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
        bigin_conn_id: str = "bigin_default",
        dry_run: bool = False,
        durable: bool = True,
        on_unknown_outcome: OnUnknownOutcome = "check",
        mark_text: bool = False,
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
        self.bigin_conn_id = bigin_conn_id
        self.is_dry_run = dry_run  # BaseOperator has a method of that name
        self.durable = durable
        self.on_unknown_outcome = on_unknown_outcome
        self.mark_text = mark_text

    def execute(self, context: Context) -> str | None:
        """Send the mail, or find that an earlier try has sent it, and return its ``message_id``."""
        from airflow_provider_bigin.hooks.bigin import BiginHook

        try:
            message_id = self._deliver(BiginHook(self.bigin_conn_id), context)
        except BiginError as error:
            if error.retryable or (isinstance(error, BiginOutcomeUnknownError) and not self.durable):
                raise
            raise AirflowFailException(str(error)) from error
        if message_id:
            context["ti"].xcom_push(key="message_id", value=message_id)
        return message_id

    def on_kill(self) -> None:
        """
        Stop at once.

        Airflow 3 lets a task that it has given up on go on for seconds after SIGTERM; what is raised here
        interrupts it. ``SystemExit`` is no ``Exception``, so nothing on the way takes it for a failed call,
        an open intent stays open, and Airflow retries.
        """
        raise SystemExit("the task was told to stop")

    def _deliver(self, hook: BiginHook, context: Context) -> str | None:
        from airflow_provider_bigin.delivery.once import Delivery
        from airflow_provider_bigin.delivery.task_try import TaskTry

        letter = self._checked_letter()
        marker_key = (
            hook.settings.marker_key
        )  # a connection that cannot work is an error before any request goes out
        if self.is_dry_run:
            self._log_dry_run(letter, self._checked_files(letter.mail), hook)
            return None
        if not self.durable:
            return hook.post_mail(
                letter.module, letter.record_id, self._completed(letter.mail, hook)
            ).message_id
        delivery = Delivery(
            hook.get_conn(),
            TaskTry.from_context(context),
            on_unknown_outcome=self.on_unknown_outcome,
            marker_key=marker_key,
            mark_text=self.mark_text,
        )
        return delivery.deliver(letter, complete=lambda mail: self._completed(mail, hook))

    def _checked_letter(self) -> Letter:
        """Check all arguments that can be checked without a request."""
        from airflow_provider_bigin.api.mail import Mail, parse_module, parse_record_id
        from airflow_provider_bigin.delivery.once import ON_UNKNOWN_OUTCOME, Letter

        if self.on_unknown_outcome not in ON_UNKNOWN_OUTCOME:
            raise BiginInvalidMailError(
                f"on_unknown_outcome: {self.on_unknown_outcome!r} must be one of"
                f" {', '.join(ON_UNKNOWN_OUTCOME)}"
            )
        mail = Mail.compose(
            from_email=self.from_email,
            to=self.to,
            cc=self.cc,
            bcc=self.bcc,
            reply_to=self.reply_to,
            subject=self.subject,
            content=self.content,
            mail_format=self.mail_format,
            org_email=self.org_email,
            scheduled_time=self.scheduled_time,
            attachments=self.attachments,
        )
        return Letter(parse_module(self.module), parse_record_id(self.record_id), mail)

    def _checked_files(self, mail: Mail) -> list[File]:
        from airflow_provider_bigin.api.files import check_attachable
        from airflow_provider_bigin.utils.paths import to_paths

        files = to_paths(self.files, "files")
        check_attachable(files, already_attached=len(mail.attachments))
        return files

    def _completed(self, mail: Mail, hook: BiginHook) -> Mail:
        """
        Give the mail what takes requests: the default sender and the uploaded files. A retry whose mail is
        sent already comes by without: its files may be gone.
        """
        uploaded = hook.get_conn().upload_files(self._checked_files(mail))
        return hook.with_sender(replace(mail, attachments=(*mail.attachments, *uploaded)))

    def _log_dry_run(self, letter: Letter, files: Sequence[File], hook: BiginHook) -> None:
        mail = letter.mail
        sender = mail.sender or hook.settings.from_email
        self.log.info("Dry run: nothing is sent.")
        self.log.info("Record:      %s %s", letter.module, letter.record_id)
        self.log.info("From:        %s", sender or "the account's default from-address")
        for name, addresses in (("To", mail.to), ("Cc", mail.cc), ("Bcc", mail.bcc)):
            if addresses:
                self.log.info("%-12s %s", f"{name}:", ", ".join(str(address) for address in addresses))
        self.log.info("Subject:     %s", mail.subject)
        self.log.info("Content:     %d characters of %s", len(mail.content), mail.mail_format)
        if mail.attachments or files:
            self.log.info("Attachments: %s", ", ".join((*mail.attachments, *map(str, files))))
        if mail.scheduled_time:
            self.log.info("Scheduled:   %s", mail.scheduled_time)

    def _do_render_template_fields(
        self,
        parent: Any,
        template_fields: Iterable[str],
        context: Context,
        jinja_env: jinja2.Environment,
        seen_oids: set[int],
    ) -> None:
        """
        Read ``content`` from its template file, then render; name mapped tasks by their record.

        ``template_ext`` would do that to every field, also to a ``files`` entry or a subject that ends in
        ``.html``. Airflow calls this on the operator itself for mapped tasks too, so that operators can
        override it.
        """
        if parent is self and isinstance(self.content, str) and is_content_file(self.content):
            self.content = read_content_file(self.content, jinja_env)
        is_mapped = getattr(context.get("ti"), "map_index", None) not in (None, -1)
        if parent is self and is_mapped and not context.get("map_index_template"):
            # Airflow takes it from here; a mapped operator's own attribute comes too late for it.
            context["map_index_template"] = "{{ task.record_id }}"
        super()._do_render_template_fields(parent, template_fields, context, jinja_env, seen_oids)
