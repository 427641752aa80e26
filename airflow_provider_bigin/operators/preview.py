"""What a dry run of many mails shows: counts, a Markdown text for Airflow's UI, and a web page."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_bigin.delivery.engine import BLOCK_SIZE, CONCERNS_ONE_MAIL, as_failure
from airflow_provider_bigin.delivery.message import Message
from airflow_provider_bigin.delivery.outcome import Outcome
from airflow_provider_bigin.operators.results import MAX_XCOM_ROWS
from airflow_provider_bigin.utils.html_text import html_to_text
from airflow_provider_bigin.utils.markdown import paragraphs, table

if TYPE_CHECKING:
    from airflow_provider_bigin.api.mail import Address
    from airflow_provider_bigin.compose.rows import RowBatch
    from airflow_provider_bigin.delivery.limiter import ConcurrencyLimiter

log = logging.getLogger(__name__)

#: How many mails are shown, and how many rows that cannot be sent.
MAX_SHOWN = 20
#: Characters shown of the text of a mail.
MAX_TEXT_LENGTH = 10_000


class Sample(NamedTuple):
    """
    A mail that can be sent.

    :param row: number of its row.
    :param message: the mail, with nothing uploaded.
    :param files: names of the files that would be uploaded.
    """

    row: int
    message: Message
    files: tuple[str, ...]

    def facts(self) -> dict[str, str]:
        """Return everything in the mail except its text, leaving out what is empty."""
        mail = self.message.mail
        facts = {
            "From": "the organization's address" if mail.org_email else str(mail.sender),
            "To": ", ".join(map(str, mail.to)),
            "Cc": ", ".join(map(str, mail.cc)),
            "Bcc": ", ".join(map(str, mail.bcc)),
            "Reply to": str(mail.reply_to or ""),
            "Subject": mail.subject,
            "Attachments": ", ".join((*self.files, *mail.attachments)),
            "Scheduled for": mail.scheduled_time or "",
            "Record": str(self.message.record),
        }
        return {name: fact for name, fact in facts.items() if fact}


@dataclass
class Preview:
    """
    What would happen to some rows.

    :param total: number of rows.
    :param samples: the first mails that can be sent.
    :param failures: rows that cannot be sent, and why.
    :param redirect_to: address that gets all mails instead of their recipients.
    """

    total: int
    samples: list[Sample] = field(default_factory=list)
    failures: list[dict[str, Any]] = field(default_factory=list)
    redirect_to: Address | None = None

    @property
    def ready(self) -> int:
        """How many mails can be sent."""
        return self.total - len(self.failures)

    def describe(self) -> str:
        """Say in one sentence, without addresses, how many mails can be sent."""
        failed = f", {len(self.failures):,} cannot" if self.failures else ""
        return f"{self.ready:,} of {self.total:,} mails can be sent{failed}"

    def result(self) -> dict[str, Any]:
        """Return the task's result."""
        return {
            "total": self.total,
            "ready": self.ready,
            "failed": len(self.failures),
            "rows": self.failures[:MAX_XCOM_ROWS],
            "rows_left_out": max(0, len(self.failures) - MAX_XCOM_ROWS),
            "preview": as_markdown(self),
        }


def look_over(
    batch: RowBatch,
    limiter: ConcurrencyLimiter,
    max_concurrency: int,
    *,
    redirect_to: Address | None = None,
) -> Preview:
    """
    Compose all mails of a batch as if to send them.

    :param redirect_to: the connection's ``redirect_to``.
    :raises BiginError: if something is wrong that concerns more than one row.
    """
    preview = Preview(len(batch), redirect_to=redirect_to)
    pool = ThreadPoolExecutor(max_concurrency, "compose")
    try:
        # In blocks, so that not all mails are in memory at once.
        for start in range(0, len(batch), BLOCK_SIZE):
            rows = range(start, min(start + BLOCK_SIZE, len(batch)))
            for composed in pool.map(partial(_compose, batch), rows):
                if not isinstance(composed, Sample):
                    preview.failures.append(composed)
                elif len(preview.samples) < MAX_SHOWN:
                    preview.samples.append(composed)
    except BaseException as error:
        limiter.close(error)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    log.info("Dry run: %s. Nothing is sent.", preview.describe())
    return preview


def _compose(batch: RowBatch, row: int) -> Sample | dict[str, Any]:
    try:
        draft = batch.draft(row)
        return Sample(row, batch.check(draft), tuple(file.name for file in draft.files))
    except Exception as error:
        failure = as_failure(error)
        if not isinstance(failure, CONCERNS_ONE_MAIL):
            raise failure from failure.__cause__
        outcome = Outcome("failed", batch.record(row), error=failure)
        return {
            "row": row,
            "record_id": outcome.record.id if outcome.record else None,
            "error": outcome.code,
            "detail": outcome.detail,
        }


def as_markdown(preview: Preview) -> str:
    """Write a preview for Airflow's UI: a table of the first mails, and the first one in full."""
    return "\n\n".join(_parts(preview))


def _parts(preview: Preview) -> Iterator[str]:
    yield f"**{preview.describe()}.**"
    if preview.redirect_to:
        yield "The connection sends all of them to this address instead of their recipients:"
        yield paragraphs(str(preview.redirect_to))
    if failures := preview.failures[:MAX_SHOWN]:
        yield f"Rows that cannot be sent{_only_first(failures, len(preview.failures))}:"
        yield table(
            ("Row", "Record", "Why"),
            [(line["row"], line["record_id"], line["detail"]) for line in failures],
        )
    if samples := preview.samples:
        columns = ("To", "Subject", "Record")
        yield f"Mails{_only_first(samples, preview.ready)}:"
        yield table(
            ("Row", *columns), [(sample.row, *map(sample.facts().get, columns)) for sample in samples]
        )
        yield f"The mail of row {samples[0].row}:"
        yield paragraphs(_whole(samples[0]))


def _only_first(shown: Sized, total: int) -> str:
    return f", the first {len(shown)}" if len(shown) < total else ""


def _whole(sample: Sample) -> str:
    mail = sample.message.mail
    text = mail.content if mail.mail_format == "text" else html_to_text(mail.content)
    if (left_out := len(text) - MAX_TEXT_LENGTH) > 0:
        text = f"{text[:MAX_TEXT_LENGTH]}\n... and {left_out:,} more characters"
    return "\n".join([*(f"{name}: {fact}" for name, fact in sample.facts().items()), "", text])


def as_page(preview: Preview) -> str:
    """
    Write a preview as a web page that shows the first mails and lets none of them do anything.

    Each is a document of its own in a frame without any permissions, to which the page's policy also
    applies: nothing is loaded from anywhere.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("airflow_provider_bigin.operators"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unconnected"] = _unconnected
    return environment.get_template("preview.html").render(
        preview=preview, failures=preview.failures[:MAX_SHOWN]
    )


def _unconnected(html: str) -> str:
    """
    Rename links to resources, and frames, which could contain such links in encoded form.

    No policy keeps a browser from ``<link rel=preconnect>``, which tells a server that the mail was opened.
    """
    return re.sub(r"<(?=(?:link|iframe)\b)", "<x-", html, flags=re.IGNORECASE)
