"""Files with single-use ids, and images in the text of mails."""

from __future__ import annotations

import io
import re
from types import SimpleNamespace

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.api.client import BiginClient
from airflow_provider_bigin.version_compat import AirflowFailException
from tests.unit.operators.rows import people, statuses

ADA = "5000000000000000101"
ADDRESS = re.compile(r'<img src="http://127\.0\.0\.1:\d+/crm/viewInLineImage\?fileContent=([0-9a-f]+)">')


@pytest.fixture
def report(tmp_path):
    """Create a file to attach."""
    (tmp_path / "report.txt").write_text("x")
    return str(tmp_path / "report.txt")


@pytest.fixture
def chart(tmp_path):
    """Create an image."""
    (tmp_path / "chart.png").write_bytes(b"\x89PNG")
    return str(tmp_path / "chart.png")


class Report:
    """
    A file in object storage.

    :param opened: called each time it is about to be read.
    """

    protocol, name = "memory", "report.txt"

    def __init__(self, opened):
        self.opened = opened

    def __str__(self):
        return "memory://report.txt"

    def is_file(self):
        return True

    def stat(self):
        return SimpleNamespace(st_size=1)

    def open(self, mode):
        self.opened()
        return io.BytesIO(b"x")


class TestIdsForOneMail:
    def test_a_file_that_many_mails_have(self, make_bulk_instance, sandbox, report, caplog):
        sandbox.settings(single_use_files=True)
        rows = people(sandbox, 60)
        instance = make_bulk_instance(rows, files=[report])
        assert instance.run()["sent"] == 60
        mails = sandbox.mails()
        assert len({mail["record_id"] for mail in mails}) == len(mails) == 60
        assert len({mail["attachments"][0]["id"] for mail in mails}) == 60
        # Those made before the first refusal, that is, one block and the next one, are posted twice.
        assert 61 <= sandbox.counts()["send_mail"] <= 60 + 59
        assert sandbox.counts()["files"] <= 60 + 1
        assert caplog.text.count("Bigin refused the id of an uploaded file") == 1

    def test_ids_that_may_be_shared_are(self, make_bulk_instance, sandbox, report):
        assert make_bulk_instance(people(sandbox, 5), files=[report]).run()["sent"] == 5
        assert (sandbox.counts()["files"], sandbox.counts()["send_mail"]) == (1, 5)

    def test_one_mail_is_posted_once_more(self, make_instance, sandbox, report):
        sandbox.fault("send_mail", "unknown_file")
        message_id = make_instance(files=[report]).run()
        (mail,) = sandbox.mails()
        assert mail["message_id"] == message_id
        assert [file["name"] for file in mail["attachments"]] == ["report.txt"]
        assert (sandbox.counts()["files"], sandbox.counts()["send_mail"]) == (2, 2)

    def test_and_no_more_than_once_more(self, make_instance, sandbox, report):
        sandbox.fault("send_mail", "unknown_file", times=None)
        with pytest.raises(AirflowFailException, match=r"There is no file exists.*upload it again"):
            make_instance(files=[report]).run()
        assert sandbox.counts()["send_mail"] == 2

    def test_an_id_that_was_given_cannot_be_uploaded_again(self, make_instance, sandbox):
        with pytest.raises(AirflowFailException, match="There is no file exists"):
            make_instance(attachments=["0" * 128]).run()
        assert sandbox.counts()["send_mail"] == 1

    def test_an_id_that_was_given_stays_beside_those_that_are_uploaded(
        self, make_instance, sandbox, report, hook
    ):
        (given,) = hook.upload_files(report)
        sandbox.fault("send_mail", "unknown_file")
        make_instance(files=[report], attachments=[given]).run()
        ids = [file["id"] for file in sandbox.mails()[0]["attachments"]]
        assert ids[0] == given
        assert len(ids) == 2

    def test_a_lost_answer_to_the_second_post_is_looked_for(self, make_instance, sandbox, report, clock):
        sandbox.fault("send_mail", "unknown_file")
        sandbox.fault("send_mail", "lost_answer")
        message_id = make_instance(files=[report]).run()
        assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]

    @pytest.mark.parametrize("sent", [True, False])
    def test_a_worker_that_dies_in_the_second_post(
        self, make_instance, kill_after, sandbox, report, clock, sent
    ):
        sandbox.fault("send_mail", "unknown_file")
        instance = make_instance(files=[report])
        kill_after(instance, 2, sent=sent)
        message_id = instance.run()
        assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]

    def test_an_outage_of_the_second_upload_is_left_to_a_retry(self, make_instance, sandbox, report, clock):
        sandbox.fault("send_mail", "unknown_file")
        sandbox.fault("files", "500_before", skip=1, times=3)
        instance = make_instance(files=[report])
        with pytest.raises(errors.BiginServerError):
            instance.run()
        instance.retry()
        assert instance.run() == sandbox.mails()[0]["message_id"]

    def test_a_file_that_is_gone_meanwhile(self, make_instance, sandbox):
        def open_once():
            if opened:
                raise FileNotFoundError("it is gone")
            opened.append(True)

        opened = []
        sandbox.fault("send_mail", "unknown_file")
        with pytest.raises(AirflowFailException, match="FileNotFoundError: it is gone"):
            make_instance(files=[Report(open_once)]).run()
        assert sandbox.counts()["send_mail"] == 1

    @pytest.mark.parametrize("store", ["store", "variables"], indirect=True)
    def test_a_file_that_is_back_in_the_next_try(self, make_bulk_instance, sandbox, clock):
        """Bigin has not refused the mail."""

        def open_but_once():
            opened.append(True)
            if len(opened) == 2:
                raise FileNotFoundError("it is gone")

        opened = []
        rows = people(sandbox, 2)
        sandbox.fault("send_mail", "unknown_file", record_id=rows[0]["record_id"])
        sandbox.fault("send_mail", "record_locked", record_id=rows[1]["record_id"])
        instance = make_bulk_instance(rows, files=[Report(open_but_once)], max_concurrency=1)
        with pytest.raises(errors.BiginMailsLeftError):
            instance.run()
        instance.retry()
        assert instance.run()["sent"] == 2

    @pytest.mark.parametrize("store", ["store"], indirect=True)
    def test_what_waits_long_for_its_second_upload_is_announced_anew(self, make_instance, sandbox, store):
        sandbox.fault("send_mail", "unknown_file")
        make_instance(files=[Report(lambda: sandbox.advance(100))]).run()
        assert store.writes == 3  # an intent, the same again, the result


class TestImages:
    def test_an_image_in_the_text(self, make_instance, sandbox, chart):
        make_instance(content='<p>Hi</p><img src="cid:chart">', images={"chart": chart}).run()
        (mail,) = sandbox.mails()
        assert len(ADDRESS.findall(mail["content"])) == 1
        assert mail["attachments"] == []
        (upload,) = [entry for entry in sandbox.log() if entry["call"] == "files"]
        assert upload["query"] == {"type": "inline"}

    def test_it_is_templated(self, make_instance, sandbox, chart, tmp_path):
        instance = make_instance(
            content='<img src="cid:{{ name }}">', images={"chart": "{{ folder }}/chart.png"}
        )
        context = {**instance.context(), "name": "chart", "folder": tmp_path}
        instance.task.render_template_fields(context)
        instance.run()
        assert ADDRESS.match(sandbox.mails()[0]["content"])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"images": {"chrat": "{chart}"}}, "content: it shows the image 'chart'"),
            ({"images": {"chart": "{chart}", "logo": "{chart}"}}, "images: 'logo' is not shown"),
            ({"images": {"chart": "{chart}"}, "mail_format": "text"}, "images: 'chart' is not shown"),
            ({"images": "{chart}"}, "images: .* is not a dict"),
            ({"images": {"chart": "/nowhere/chart.png"}}, "images: there is no file '/nowhere/chart.png'"),
        ],
    )
    def test_what_is_wrong_is_said_before_any_request(self, make_instance, sandbox, chart, changes, message):
        images = changes["images"]
        if isinstance(images, dict):
            images = {name: path.format(chart=chart) for name, path in images.items()}
        with pytest.raises(AirflowFailException, match=message):
            make_instance(**{"content": '<img src="cid:chart">', **changes, "images": images}).run()
        assert sum(sandbox.counts().values()) == 0

    def test_an_image_of_another_task_lies_below_files_root(self, make_instance, sandbox, chart, tmp_path):
        for root, error in (
            (tmp_path, None),
            (tmp_path / "other", "not below files_root"),
            (None, "files_root"),
        ):
            instance = make_instance(
                content='<img src="cid:chart">', images={"chart": chart}, files_root=root
            )
            instance.task.from_upstream = frozenset({"images"})
            if error:
                with pytest.raises(AirflowFailException, match=f"images: .*{error}"):
                    instance.run()
            else:
                instance.run()
        assert sandbox.mail_count() == 1

    def test_many_mails_share_one(self, make_bulk_instance, sandbox, chart):
        sandbox.settings(single_use_files=True)
        instance = make_bulk_instance(
            people(sandbox, 3), content='{{ mail.name }}<img src="cid:chart">', images={"chart": chart}
        )
        assert instance.run()["sent"] == 3
        assert len({ADDRESS.findall(mail["content"])[0] for mail in sandbox.mails()}) == 1
        assert (sandbox.counts()["files"], sandbox.counts()["send_mail"]) == (1, 3)

    def test_a_row_names_its_own_below_files_root(self, make_bulk_instance, sandbox, chart, tmp_path):
        rows = [
            {"record_id": ADA, "to": "a@example.org", "name": "x", "images": images}
            for images in (
                {"chart": "chart.png"},
                {"chart": "../chart.png"},
                {"other": "chart.png"},
                "chart.png",
            )
        ]
        instance = make_bulk_instance(
            rows,
            content='<img src="cid:chart">',
            row_fields=("record_id", "to", "images"),
            files_root=tmp_path,
            fail_on="never",
        )
        instance.run()
        assert statuses(instance) == ["sent", "failed", "failed", "failed"]

    @pytest.mark.parametrize("place", ["sent", "not sent"])
    def test_an_image_that_is_uploaded_again_makes_no_other_mail(
        self, make_instance, kill_after, sandbox, chart, clock, place
    ):
        instance = make_instance(content='<img src="cid:chart">', images={"chart": chart})
        kill_after(instance, 1, sent=place == "sent")
        message_id = instance.run()
        assert [mail["message_id"] for mail in sandbox.mails()] == [message_id]
        assert sandbox.counts()["files"] == (1 if place == "sent" else 2)

    @pytest.mark.parametrize("store", ["store", "variables"], indirect=True)
    def test_without_markers_it_is_found_by_its_content(
        self, make_bulk_instance, kill_after, sandbox, chart, clock
    ):
        """In an account that strips unknown attributes, the mail can still be told from similar ones."""
        instance = make_bulk_instance(
            [{"record_id": ADA, "to": "a@example.org", "name": "x"}],
            content='{{ mail.name }}<img src="cid:chart">',
            images={"chart": chart},
        )
        kill_after(instance, 1)
        markers = re.compile(r'<span class="m-[^"]*"></span>')
        get_email = BiginClient.get_email

        def without_markers(self, *which):
            email = get_email(self, *which)
            return {**email, "content": markers.sub("", email["content"])}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BiginClient, "get_email", without_markers)
            assert instance.run()["already_sent"] == 1
        assert sandbox.mail_count() == 1
