"""The operator that sends many mails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_bigin.api.errors import BiginConfigurationError
from airflow_provider_bigin.compose.arguments import MAIL_FIELDS
from airflow_provider_bigin.compose.upstream import is_reference, with_outputs
from airflow_provider_bigin.operators.base import BiginMailOperator, ends_try
from airflow_provider_bigin.operators.results import FAIL_ON, FailOn

if TYPE_CHECKING:
    import os
    from datetime import datetime

    import jinja2
    from airflow.sdk import Context

    from airflow_provider_bigin.compose.rows import RowBatch
    from airflow_provider_bigin.delivery.doubts import Reply

#: Fields that rows may set by default: not the worker's files, additional recipients, or the sender.
ROW_FIELDS = ("record_id", "module", "to", "subject", "content")
#: Zoho runs no more than ten calls of this kind at a time for an organization,
#: https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
MAX_CONCURRENCY = 10


class BiginBulkSendMailOperator(BiginMailOperator):
    """
    Send many mails, one per row: each once, however often the task is retried.

    .. seealso::
        https://www.bigin.com/developer/docs/apis/v2/send-mail.html

    .. code-block:: python

        BiginBulkSendMailOperator(
            task_id="invite",
            mails=contacts.output,
            subject="{{ mail.first_name }}, you are invited",
            content="invitation.html",
        )

    A row is a dict. It sets ``record_id`` or ``to`` or both, and any other mail field that ``row_fields``
    allows; what it does not set comes from this operator. Additional keys are for the templates. Without a
    ``record_id``, the record is found by the first address in ``to``.

    ``subject`` and ``content`` are rendered for each row, with Airflow's context and the row as ``mail``. In
    an ``html`` mail, all values are escaped; ``| safe`` opts out. The contents of a row are never rendered.

    A mail that fails for a temporary reason is left to the next try, which sends only what is left. Once no
    retry is left, ``fail_on`` decides whether the task fails. Clearing a failed task sends what is left;
    clearing a successful one sends all mails again.

    :param mails: the rows: a list, an upstream task's output, or a callable that takes the context.
        (templated)
    :param columns: names for the values of rows that are lists, such as rows from a database.
    :param subject: template, at most 1,000 characters when rendered.
    :param content: template, at most 100,000 characters when rendered, or the name of a template file that
        ends in ``.html``, ``.txt``, ``.md``, ``.jinja2``, or ``.j2``.
    :param record_id: default for rows that do not set it, as are ``to`` through ``images``; see
        :class:`~airflow_provider_bigin.operators.bigin.BiginSendMailOperator`. A file that many mails share
        is uploaded once, unless Bigin requires one upload per mail. (templated)
    :param row_fields: mail fields that rows may set; a row that sets others fails.
    :param files_root: directory or URL prefix that contains all files named by a row or another task.
        (templated)
    :param max_concurrency: how many mails to send at a time, at most 10.
    :param results_path: path or object storage URL, ending in ``.csv`` or ``.jsonl``, of a file to write with
        one line per row. (templated)
    :param fail_on: fail the task if ``any`` mail is not delivered, only if ``all`` are not, or ``never``.
    :param bigin_conn_id: id of the connection. (templated)
    :param on_unknown_outcome: what to do if it is unknown whether a mail was sent; see
        :class:`~airflow_provider_bigin.operators.bigin.BiginSendMailOperator`. With ``ask``, one question is
        asked about all mails in doubt, once all others are settled or have no retry left. (templated)
    :param ask_timeout: how long to wait for an answer; after that, the task proceeds as with ``check``.
    :param ask_users: who may answer, as ``{"id": ..., "name": ...}``; by default, anyone who may answer the
        DAG's questions.
    :param ask_notifiers: notifiers to call with the question; its address is ``{{ question.url }}``.
    :param limit_wait: how long the task may wait for Bigin's limits; see
        :class:`~airflow_provider_bigin.operators.bigin.BiginSendMailOperator`.
    :param mark_text: end ``text`` mails with a line that identifies them; ``html`` mails carry it invisibly.
    :param dry_run: compose all mails, find their records, and check their files, but upload and send
        nothing. The task succeeds whatever happens to the rows.
    :param preview_path: path or object storage URL, ending in ``.html``, of a web page for a dry run to
        write, which shows the first 20 mails. (templated)
    :return: the number of mails with each status (``sent``, ``already_sent``, ``opted_out``, ``failed``,
        ``unknown``, ``skipped``) and, under ``rows``, the outcome of up to 1,000 rows. From
        a dry run: how many mails are ``ready`` and how many ``failed``, under ``rows`` those that failed, and
        ``preview``, a Markdown text that shows the first 20 mails, one of them in full.
    """

    template_fields: Collection[str] = (
        "mails",
        *MAIL_FIELDS,
        "files_root",
        "results_path",
        "preview_path",
        "bigin_conn_id",
        "on_unknown_outcome",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"mails": "json", "content": "html"}
    author_only: ClassVar[dict[str, Any]] = {"row_fields": ROW_FIELDS, "files_root": None}

    def __init__(
        self,
        *,
        mails: Any,
        columns: Sequence[str] = (),
        subject: str = "",
        content: str = "",
        record_id: str | None = None,
        to: Any = None,
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
        row_fields: Collection[str] = ROW_FIELDS,
        files_root: str | os.PathLike[str] | None = None,
        max_concurrency: int = 5,
        results_path: str | os.PathLike[str] | None = None,
        fail_on: FailOn = "any",
        bigin_conn_id: str = "bigin_default",
        dry_run: bool = False,
        preview_path: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mails = mails
        self.columns = columns
        self.subject = subject
        self.content = content
        self.record_id = record_id
        self.to = to
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
        self.row_fields = row_fields
        self.files_root = files_root
        self.max_concurrency = max_concurrency
        self.results_path = results_path
        self.fail_on = fail_on
        self.bigin_conn_id = bigin_conn_id
        self.is_dry_run = dry_run  # BaseOperator has a method of that name
        self.preview_path = preview_path
        self._check_options()

    @ends_try
    def execute(self, context: Context) -> dict[str, Any]:
        """Send the mails that no earlier try has sent, and return the outcome of all."""
        return self._deliver(context)

    def _preview(self, context: Context) -> dict[str, Any]:
        from airflow_provider_bigin.delivery.limiter import ConcurrencyLimiter
        from airflow_provider_bigin.operators.preview import as_page, look_over
        from airflow_provider_bigin.utils.outputs import open_output, to_output_path
        from airflow_provider_bigin.version_compat import ask_supervisor_one_by_one

        ask_supervisor_one_by_one()
        path = to_output_path(self.preview_path, "preview_path", (".html",)) if self.preview_path else None
        limiter = ConcurrencyLimiter(self.max_concurrency, self.hook.clock)
        preview = look_over(
            self._batch(limiter.call, context),
            limiter,
            self.max_concurrency,
            redirect_to=self.hook.settings.redirect_to,
        )
        if path:
            with open_output(path) as page:
                page.write(as_page(preview))
        return {**preview.result(), "preview_path": str(path) if path else None}

    def _deliver(self, context: Context, reply: Reply | None = None) -> dict[str, Any]:
        from airflow_provider_bigin.delivery.limiter import ConcurrencyLimiter
        from airflow_provider_bigin.operators import results
        from airflow_provider_bigin.operators.progress import Progress
        from airflow_provider_bigin.operators.question import about_many
        from airflow_provider_bigin.utils.tables import to_table_path, write_table
        from airflow_provider_bigin.version_compat import ask_supervisor_one_by_one

        if self.is_dry_run:  # perhaps only since the task waits for an answer
            return self._preview(context)
        self.check_unknown_outcome()
        ask_supervisor_one_by_one()
        results_path = to_table_path(self.results_path, "results_path") if self.results_path else None
        limiter = ConcurrencyLimiter(self.max_concurrency, self.hook.clock)
        batch = self._batch(limiter.call, context)
        with self.delivery(
            batch,
            context,
            limiter,
            reply=reply,
            max_concurrency=self.max_concurrency,
            on_outcome=Progress(len(batch)).note,
        ) as delivery:
            outcomes = delivery.deliver()
            self.log.info("%s.", results.describe(outcomes))
            for line in results.reasons(outcomes):
                self.log.warning("Problem: %s", line)
            for line in results.doubts(outcomes):
                self.log.warning(line)
            result = {
                **results.summarize(outcomes),
                "results_path": str(results_path) if results_path else None,
            }
            self.hand_over(context, result)
            if results_path:
                write_table(results_path, results.COLUMNS, results.result_rows(outcomes))
            self.wait_for_limit(delivery, outcomes)
            is_left = any(outcome.is_retryable for outcome in outcomes) and not delivery.is_last_try
            if delivery.doubts and not is_left:
                self.ask(context, delivery, about_many())
            if error := results.undelivered(
                outcomes, self.fail_on, is_last_try=delivery.is_last_try, limit=delivery.limit
            ):
                raise error
            delivery.complete()
        return result

    def _check_options(self) -> None:
        """Check the options that are not templates, when the DAG is parsed."""
        self.check_choice("fail_on", FAIL_ON)
        if isinstance(self.columns, str):
            raise BiginConfigurationError(f"columns: {self.columns!r} must be a list of names")
        is_list = not isinstance(self.row_fields, str) and not is_reference(self.row_fields)
        if not is_list or not set(self.row_fields) <= set(MAIL_FIELDS):
            raise BiginConfigurationError(
                f"row_fields: {self.row_fields!r} must be a list of names from {', '.join(MAIL_FIELDS)}"
            )
        if not isinstance(self.max_concurrency, int) or not 1 <= self.max_concurrency <= MAX_CONCURRENCY:
            raise BiginConfigurationError(
                f"max_concurrency: {self.max_concurrency!r} must be a number from 1 to {MAX_CONCURRENCY}"
            )
        if self.preview_path and not self.is_dry_run:
            raise BiginConfigurationError("preview_path: only a task with dry_run=True writes a preview")

    def _batch(self, call: Callable[[Callable[[], Any]], Any], context: Context) -> RowBatch:
        from airflow_provider_bigin.api.files import check_attachable
        from airflow_provider_bigin.compose.arguments import mail_arguments
        from airflow_provider_bigin.compose.content import read_content
        from airflow_provider_bigin.compose.messages import Completion
        from airflow_provider_bigin.compose.rows import RowBatch, read_rows
        from airflow_provider_bigin.compose.templates import RowTemplates

        files, images = self.read_files()
        # Check what all rows share before the first of them.
        check_attachable(files, images=images.values())
        # The DAG's environment, but never the one that turns text into Python objects.
        dag = self.get_dag()
        environment = dag.get_template_env(force_sandboxed=True) if dag else self.get_template_env()
        written = {"subject": self.subject, "content": self.content}
        sources = {
            name: "" if source is None else str(source)
            for name, source in written.items()
            if name not in self.from_upstream
        }
        if "content" in sources:
            sources["content"] = read_content(sources["content"], environment)
        return RowBatch(
            read_rows(self.mails(context) if callable(self.mails) else self.mails, self.columns),
            mail_arguments(self),
            files,
            images,
            RowTemplates(environment, context, sources),
            row_fields=self.row_fields,
            files_root=self.files_root,
            completion=Completion(self.hook, call),
        )

    def _fields_to_render(
        self, template_fields: list[str], context: Context, jinja_env: jinja2.Environment
    ) -> list[str]:
        """
        Leave out what is not rendered up front.

        These are the templates rendered for each row, a list of rows, which is data in which only outputs of
        other tasks are replaced, and a callable, which is called once.
        """
        rendered = super()._fields_to_render(template_fields, context, jinja_env)
        left = {"subject", "content"}
        if isinstance(self.mails, (list, tuple)) or callable(self.mails):
            left.add("mails")
        if "mails" in rendered:
            self.mails = with_outputs(
                self.mails, lambda output: self.render_template(output, context, jinja_env)
            )
        return [name for name in rendered if name not in left]
