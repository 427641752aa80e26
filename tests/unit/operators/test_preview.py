"""The dry run of the bulk operator: what it looks at, what it leaves alone, and what it shows."""

from __future__ import annotations

import os
import stat
from html.parser import HTMLParser

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.delivery.engine import BLOCK_SIZE
from airflow_provider_bigin.operators.preview import MAX_SHOWN, MAX_TEXT_LENGTH
from airflow_provider_bigin.operators.results import MAX_XCOM_ROWS
from airflow_provider_bigin.version_compat import AirflowFailException
from tests.task_instance import StateStore, TaskInstance
from tests.unit.operators.rows import people

ADA = "5000000000000000101"
EVIL = "<script>alert(1)</script>|`www.example.org`\n<LINK rel=preconnect href=//example.org>"


@pytest.fixture
def preview(make_bulk_task, sandbox, tmp_path):
    """Run a dry run of some rows and check that it stores, uploads, and sends nothing."""
    store = StateStore(tmp_path / "state.db")

    def run(rows, **changes):
        task = make_bulk_task(rows, **{"dry_run": True, **changes})
        result = TaskInstance(task, store=store, start=sandbox.now()).run()
        assert sandbox.counts()["send_mail"] == sandbox.counts()["upload"] == 0
        assert store.stored() == {}
        return result

    return run


class Elements(HTMLParser):
    """The elements of a page."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


class TestRows:
    """Which rows result in a mail."""

    def test_all_that_a_real_run_would_refuse_is_told(self, preview, sandbox, tmp_path):
        (tmp_path / "a.pdf").write_text("a")
        rows = [
            {"record_id": ADA, "to": "ada@example.org", "name": "Ada", "files": "a.pdf"},
            {"record_id": ADA, "to": "ada@example.org", "name": "Ada", "files": "b.pdf"},
            {"to": "grace.hopper@example.org", "name": "Grace"},
            {"to": "nobody@example.org", "name": "Nobody"},
            {"record_id": ADA, "to": "no address", "name": "x"},
            {"record_id": ADA, "to": "ada@example.org", "cc": "spy@example.org"},
            "no row",
        ]
        result = preview(rows, row_fields=("record_id", "to", "files"), files_root=tmp_path, from_email=None)
        assert (result["total"], result["ready"], result["failed"]) == (7, 2, 5)
        assert {row["row"]: row["detail"].split(":")[0] for row in result["rows"]} == {
            1: "files",
            3: "to",
            4: "to",
            5: "mails",
            6: "mails",
        }
        assert result["rows"][0]["record_id"] == ADA
        assert result["rows"][1]["error"] == "BiginNotFoundError"
        assert sandbox.counts()["search"] == 2
        assert sandbox.counts()["from_addresses"] == 1
        assert "Attachments: a.pdf" in result["preview"]

    def test_an_error_that_is_no_matter_of_a_row_ends_the_try(self, preview, sandbox):
        sandbox.fault("records", "429_credits", times=None)
        rows = [{"to": f"p{number}@example.org", "name": "x"} for number in range(3 * BLOCK_SIZE)]
        with pytest.raises(errors.BiginCreditLimitError):
            preview(rows)
        assert sandbox.counts()["search"] < len(rows)

    def test_wrong_credentials_fail_the_task(self, preview, connect, sandbox):
        connect(sandbox, password="wrong")
        with pytest.raises(AirflowFailException):
            preview([{"to": "ada.lovelace@example.org", "name": "x"}])

    def test_whatever_becomes_of_the_rows_the_task_succeeds(self, preview):
        result = preview(["no row"] * (MAX_XCOM_ROWS + 5))
        assert result["ready"] == 0
        assert len(result["rows"]) == MAX_XCOM_ROWS
        assert result["rows_left_out"] == 5

    def test_no_rows_make_an_empty_preview(self, preview):
        assert preview([])["preview"] == "**0 of 0 mails can be sent.**"

    def test_the_log_has_counts_and_no_address(self, preview, caplog):
        caplog.set_level("INFO")
        preview([{"record_id": ADA, "to": "ada@example.org", "name": "x"}, {"to": "no address"}])
        assert "Dry run: 1 of 2 mails can be sent, 1 cannot. Nothing is sent." in caplog.text
        assert "example.org" not in caplog.text

    def test_a_task_that_sends_writes_no_preview(self, preview):
        with pytest.raises(errors.BiginConfigurationError, match="only a task with dry_run=True"):
            preview([], dry_run=False, preview_path="preview.html")


class TestMarkdown:
    """What Airflow's pages show."""

    def test_the_first_mails_are_listed_and_one_is_shown_as_a_whole(self, preview, sandbox):
        rows = people(sandbox, MAX_SHOWN + 3)
        text = preview(rows, content="<p>Hi,</p><p>{{ mail.name }}</p>", cc="boss@example.org")["preview"]
        assert text.startswith(f"**{len(rows)} of {len(rows)} mails can be sent.**")
        assert f"Mails, the first {MAX_SHOWN}:" in text
        assert "| 0 | `p0@example.org` | `Dear Person 0` | `Contacts" in text
        assert f"| {MAX_SHOWN - 1} | " in text
        assert f"| {MAX_SHOWN} | " not in text
        assert "`To: p0@example.org`\\\n`Cc: boss@example.org`\\\n`Subject: Dear Person 0`" in text
        assert text.endswith("`Hi,`\n\n`Person 0`")

    def test_the_mail_is_that_of_the_first_row_that_makes_one(self, preview):
        rows = ["no row", {"record_id": ADA, "to": "a@example.org", "name": "x", "content": "-"}]
        text = preview(rows, mail_format="text")["preview"]
        assert "| 0 |  | `mails: the row must be a dict, not str` |" in text
        assert "The mail of row 1:" in text

    def test_a_text_is_shown_as_it_is_and_a_long_one_is_cut(self, preview):
        content = f"a <b>\n{'x' * MAX_TEXT_LENGTH}"
        row = {"record_id": ADA, "to": "a@example.org", "name": "x", "content": content}
        text = preview([row], mail_format="text")["preview"]
        assert "`a <b>`\\\n`xxx" in text
        assert text.endswith("`... and 6 more characters`")


class TestPage:
    """What the web page shows."""

    @pytest.fixture
    def page(self, preview, tmp_path):
        path = tmp_path / "new" / "preview.html"
        rows = [
            {"record_id": ADA, "to": {"user_name": EVIL, "email": "a@example.org"}, "name": EVIL},
            {"record_id": ADA, "to": "a@example.org", "name": "x", "content": f"<p>{EVIL}"},
            {"record_id": ADA, "to": EVIL},
        ]
        result = preview(rows, preview_path=str(path))
        assert result["preview_path"] == str(path)
        return path

    def test_only_its_owner_can_read_it(self, page):
        assert stat.S_IMODE(os.stat(page).st_mode) == 0o600

    def test_each_mail_is_in_a_frame_without_rights(self, page):
        elements = Elements(page.read_text())
        frames = elements.of("iframe")
        assert [(frame["sandbox"], frame["title"]) for frame in frames] == [
            ("", "The mail of row 0"),
            ("", "The mail of row 1"),
        ]
        assert "&lt;script&gt;" in frames[0]["srcdoc"]  # escaped as in the mail
        assert "<p><script>" in frames[1]["srcdoc"]
        assert not Elements(frames[1]["srcdoc"]).of("link")
        assert not elements.of("script")
        assert not elements.of("link")
        policy = elements.of("meta")[1]
        assert policy["http-equiv"] == "Content-Security-Policy"
        assert policy["content"].startswith("default-src 'none'; ")

    def test_a_page_is_no_table(self, preview):
        with pytest.raises(AirflowFailException, match=r"preview_path: 'x.csv' must end in .html"):
            preview([], preview_path="x.csv")

    def test_its_path_is_a_template(self, make_bulk_task):
        assert "preview_path" in make_bulk_task([]).template_fields
