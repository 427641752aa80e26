"""The bulk operator, across tries as Airflow makes them."""

from __future__ import annotations

import csv
import json
import logging

import pytest

from airflow_provider_bigin.api import errors
from airflow_provider_bigin.api.client import BiginClient
from airflow_provider_bigin.compose.arguments import MAIL_FIELDS
from airflow_provider_bigin.delivery.engine import BLOCK_SIZE
from airflow_provider_bigin.delivery.identity import find_markers, task_half
from airflow_provider_bigin.delivery.journal import LEASE
from airflow_provider_bigin.operators.bulk import ROW_FIELDS
from airflow_provider_bigin.version_compat import AirflowFailException
from tests.task_instance import StateStore, TaskInstance
from tests.unit.operators.rows import people

ADA, GRACE = "5000000000000000101", "5000000000000000102"


class Unprintable:
    def __str__(self):
        raise RuntimeError("cannot be printed")

    __repr__ = __str__


class Locked(dict):
    def __contains__(self, key):
        raise RuntimeError("locked")


def broken_addresses():
    yield "a@example.org"
    raise OSError("the file is gone")


DEEP: list = []
for _ in range(5000):
    DEEP = [DEEP]
LOOP: dict = {}
LOOP["content"] = LOOP["to"] = LOOP

#: Values that are valid in rows but not in mails, and values that are not rows.
STRANGE = [
    {"subject": "\ud800"},
    {"content": "<p>\udfff</p>"},
    {"to": "\ud83d@example.org"},
    {"to": "a\ud83d <a@example.org>"},
    {"name": "\ud800"},
    {"name": Unprintable()},
    {"subject": Unprintable()},
    {"content": Unprintable()},
    {"to": Unprintable()},
    {"cc": [Unprintable()]},
    {"record_id": Unprintable()},
    {"module": Unprintable()},
    {"record_id": 10**5000},
    {"subject": 10**5000},
    {"attachments": 10**5000},
    {"scheduled_time": 10**5000},
    {"scheduled_time": "9999-99-99T00:00:00Z"},
    {"mail_format": ["html"]},
    {"mail_format": {}},
    {"org_email": ["yes"]},
    {"org_email": 10**5000},
    {"to": LOOP},
    {"to": [LOOP, LOOP]},
    {"to": DEEP},
    {"to": b"a@example.org"},
    {"to": broken_addresses()},
    {"to": {"email": 7}},
    {"to": {"email": "a@example.org", "user_name": LOOP}},
    {"reply_to": object()},
    {"from_email": {"user_name": "x"}},
    {"files": "report.pdf"},
    {"files": "nowhere://bucket/report.pdf"},
    {"files": "a\0b"},
    {"files": [LOOP]},
    {"content": ""},
    {"content": None},
    {"content": "x" * 200_000},
    Locked(),
    DEEP,
    10**5000,
    "\ud800",
    b"\xff",
    Unprintable(),
    float("nan"),
    None,
]


@pytest.fixture
def make_task(make_bulk_task):
    return make_bulk_task


@pytest.fixture
def make_instance(make_bulk_instance):
    return make_bulk_instance


def records_of(sandbox):
    return sorted(mail["record_id"] for mail in sandbox.mails())


def statuses(result):
    return [row["status"] for row in result["rows"]]


@pytest.mark.parametrize("store", ["store"], indirect=True)
class TestMails:
    """How rows and the operator's arguments combine."""

    def test_each_row_gets_its_own_mail(self, make_instance, sandbox):
        rows = people(sandbox, 60)
        result = make_instance(rows).run()
        arrived = {mail["record_id"]: mail for mail in sandbox.mails()}
        assert result["sent"] == len(arrived) == 60
        for row, line in zip(rows, result["rows"], strict=True):
            mail = arrived[row["record_id"]]
            assert mail["subject"] == f"Dear {row['name']}"
            assert mail["content"].startswith(f"<p>{row['name']}</p>")
            assert mail["to"] == [{"email": row["to"]}]
            assert (line["record_id"], line["message_id"]) == (row["record_id"], mail["message_id"])

    def test_values_are_escaped_in_html_but_not_in_the_subject(self, make_instance, sandbox):
        row = {"record_id": ADA, "to": "a@example.org", "name": "<b>Ben & Jerry</b>"}
        make_instance([row], content="{{ mail.name }} {{ mail.name | safe }} {{ ds }}").run()
        (mail,) = sandbox.mails()
        assert mail["subject"] == "Dear <b>Ben & Jerry</b>"
        assert mail["content"].startswith(
            "&lt;b&gt;Ben &amp; Jerry&lt;/b&gt; <b>Ben & Jerry</b> 2026-11-23<span"
        )

    def test_values_are_not_escaped_in_text(self, make_instance, sandbox):
        rows = [{"record_id": ADA, "to": "a@example.org", "name": "B & J", "mail_format": "text"}]
        make_instance(rows, content="{{ mail.name }}", row_fields=("record_id", "to", "mail_format")).run()
        assert sandbox.mails()[0]["content"] == "B & J"

    def test_what_a_row_holds_is_no_template(self, make_instance, sandbox):
        rows = [{"record_id": ADA, "to": "a@example.org", "name": "{{ 7 * 7 }}", "content": "{{ ds }}"}]
        make_instance(rows).run()
        assert sandbox.mails()[0]["subject"] == "Dear {{ 7 * 7 }}"
        assert sandbox.mails()[0]["content"].startswith("{{ ds }}")

    def test_templates_run_in_a_sandbox(self, make_instance, sandbox):
        rows = [{"record_id": ADA, "to": "a@example.org", "name": "x"}]
        with pytest.raises(AirflowFailException):
            make_instance(rows, content="{{ mail.name.__class__.__mro__[1].__subclasses__() }}").run()
        assert sandbox.mails() == []

    def test_what_a_row_does_not_name_comes_from_the_operator(self, make_instance, sandbox):
        rows = [{"name": "x"}, {"name": "y", "record_id": GRACE, "cc": "other@example.org"}]
        make_instance(
            rows, record_id=ADA, to="team@example.org", cc="boss@example.org", row_fields=("record_id", "cc")
        ).run()
        assert {
            (mail["record_id"], mail["to"][0]["email"], mail["cc"][0]["email"]) for mail in sandbox.mails()
        } == {(ADA, "team@example.org", "boss@example.org"), (GRACE, "team@example.org", "other@example.org")}

    def test_a_row_that_names_no_recipient_does_not_get_the_operators(self, make_instance, sandbox):
        result = make_instance(
            [{"record_id": ADA, "to": None, "name": "x"}], to="team@example.org", fail_on="never"
        ).run()
        assert statuses(result) == ["failed"]
        assert sandbox.mails() == []

    @pytest.mark.parametrize(
        "bad",
        [
            "no mapping",
            {"record_id": "../Contacts", "to": "a@example.org", "name": "x"},
            {"record_id": ADA, "to": "no address", "name": "x"},
            {"record_id": ADA, "to": "a@example.org", "name": 0},
            {"record_id": ADA, "to": "a@example.org", "name": "x", "module": "Leads"},
            {"record_id": ADA, "to": "a@example.org", "name": "x", "content": " "},
            {"record_id": ADA, "to": "a@example.org", "name": "x", "bcc": "spy@example.org"},
            {"record_id": ADA, "to": "a@example.org", "name": "x", "files": "/nowhere.pdf"},
        ],
        ids=str,
    )
    def test_a_bad_row_fails_alone_and_before_anything_is_sent_for_it(self, make_instance, sandbox, bad):
        good = people(sandbox, 2)
        instance = make_instance(
            [good[0], bad, good[1]], subject="{{ 1 / (mail.name | length) }}", fail_on="never"
        )
        result = instance.run()
        assert statuses(result) == ["sent", "failed", "sent"]
        assert sandbox.counts()["send_mail"] == 2

    @pytest.mark.parametrize("values", STRANGE, ids=range(len(STRANGE)))
    def test_no_strange_value_stops_the_other_rows(self, make_instance, sandbox, tmp_path, values):
        good, results = people(sandbox, 3), tmp_path / "results.jsonl"
        bad = values if type(values) is not dict else {"record_id": ADA, "to": "a@example.org", **values}
        instance = make_instance(
            lambda context: [good[0], bad, good[1], bad, good[2]],
            subject="Hello",
            content="Hi{{ mail.name | default('') }}",
            row_fields=MAIL_FIELDS,
            files_root="nowhere://bucket",
            fail_on="never",
            results_path=results,
        )
        assert statuses(instance.run()) == ["sent", "failed", "sent", "failed", "sent"]
        assert all(json.loads(line)["detail"] for line in results.read_text().splitlines()[1::2])

    @pytest.mark.parametrize("name", sorted({*MAIL_FIELDS} - {*ROW_FIELDS}))
    def test_a_row_sets_no_more_than_it_may(self, make_instance, sandbox, tmp_path, name):
        (tmp_path / "a.txt").write_text("a")
        value = str(tmp_path / "a.txt") if name == "files" else "x@example.org"
        rows = [{"record_id": ADA, "to": "a@example.org", "name": "x", name: value}]
        results = tmp_path / "results.jsonl"
        make_instance(rows, fail_on="never", results_path=results).run()
        assert f"sets {name}, which rows may not set" in results.read_text()
        assert "row_fields" in results.read_text()
        assert sandbox.counts()["send_mail"] == sandbox.counts()["files"] == 0

    @pytest.mark.parametrize("path", ["/etc/passwd", "../secret.txt", "link.txt", "file:///etc/passwd"])
    def test_a_row_names_no_file_outside_of_files_root(self, make_instance, sandbox, tmp_path, path):
        root = tmp_path / "root"
        root.mkdir()
        (tmp_path / "secret.txt").write_text("s")
        (root / "link.txt").symlink_to(tmp_path / "secret.txt")
        (root / "a.txt").write_text("a")
        rows = [
            {"record_id": ADA, "to": "a@example.org", "name": "x", "files": files}
            for files in ("a.txt", path, ["a.txt", path])
        ]
        options = {"row_fields": ("record_id", "to", "files"), "fail_on": "never"}
        assert statuses(make_instance(rows, files_root=root, **options).run()) == ["sent", "failed", "failed"]
        assert sandbox.counts()["files"] == 1
        assert sandbox.counts()["send_mail"] == 1

    def test_an_empty_subject_is_said_once(self, make_instance, sandbox, caplog):
        make_instance(people(sandbox, 5), subject="").run()
        assert caplog.text.count("subject: it is empty") == 1

    def test_a_callable_gives_the_rows(self, make_instance, sandbox):
        make_instance(
            lambda context: ({"record_id": ADA, "to": "a@example.org", "name": context["ds"]},)
        ).run()
        assert sandbox.mails()[0]["subject"] == "Dear 2026-11-23"

    @pytest.mark.parametrize("mails", [None, "[{...}]", {"record_id": ADA}, 7])
    def test_what_is_no_list_of_rows_is_refused(self, make_instance, mails):
        with pytest.raises(AirflowFailException, match="expected a list of rows"):
            make_instance(mails).run()

    def test_no_rows_are_a_success(self, make_instance):
        assert make_instance([]).run()["total"] == 0

    @pytest.mark.parametrize(
        "option",
        [
            {"on_unknown_outcome": "guess"},
            {"results_path": "results.xlsx"},
            {"files": "/nowhere.pdf"},
            {"content": "mails/invitation.mjml"},
            {"subject": "{{ mail.name"},
        ],
        ids=str,
    )
    def test_what_is_wrong_with_the_operator_sends_nothing(self, make_instance, sandbox, option):
        with pytest.raises(AirflowFailException, match=next(iter(option))):
            make_instance(people(sandbox, 1), **option).run()
        assert sandbox.counts()["send_mail"] == 0

    @pytest.mark.parametrize(
        "option",
        [
            {"fail_on": "some"},
            {"max_concurrency": 0},
            {"max_concurrency": 11},
            {"row_fields": ("to", "cost")},
            {"row_fields": "to"},
            {"columns": "to"},
        ],
        ids=str,
    )
    def test_options_that_are_no_templates_are_checked_when_the_dag_is_parsed(self, make_instance, option):
        with pytest.raises(errors.BiginConfigurationError, match=next(iter(option))):
            make_instance([], **option)

    def test_rows_of_a_database_are_named_by_columns(self, make_instance, sandbox):
        rows = [[ADA, "ada.lovelace@example.org", "Ada"], (GRACE, "grace.hopper@example.org")]
        instance = make_instance(rows, columns=["record_id", "to", "name"], fail_on="never")
        result = instance.run()
        assert statuses(result) == ["sent", "failed"]
        assert sandbox.mails()[0]["subject"] == "Dear Ada"
        assert "name its values in the operator's columns" in result["rows"][1]["reason"]

    def test_a_key_that_looks_like_a_typo_is_told_once(self, make_instance, sandbox, caplog):
        rows = [{**row, "Subjct": "x", "email": "y", 7: "z"} for row in people(sandbox, 3)]
        make_instance(rows).run()
        assert caplog.text.count("the key 'Subjct', which is not a field; did you mean subject?") == 1
        assert "is not a field" not in caplog.text.replace("'Subjct', which is not a field", "")

    def test_reasons_are_told_with_counts_and_without_addresses(self, make_instance, sandbox):
        rows = people(sandbox, 2) + [{"to": f"nobody{number}@example.org"} for number in range(3)]
        rows.append({"to": "a@example.org", "record_id": "5000000000000000999", "name": ""})
        instance = make_instance(rows, subject="Dear {{ mail.name or 'you' }}", content="<p>Hi</p>")
        with pytest.raises(AirflowFailException) as failure:
            instance.run()
        assert "3 x to: no record has the address ... in Contacts" in str(failure.value)
        assert "1 x No Contacts record ...; is the module right? (INVALID_DATA)" in str(failure.value)
        assert "nobody1@" not in str(failure.value)
        reasons = [row["reason"] for row in instance.xcoms["return_value"]["rows"]]
        assert reasons[:2] == [None, None]
        assert reasons[2] == reasons[3] == reasons[4]

    def test_people_are_found_by_their_address_with_one_search_each(self, make_instance, sandbox):
        rows = [
            {"to": "Ada <ada.lovelace@example.org>, x@example.org", "name": "1"},
            {"to": "ADA.Lovelace@example.org", "name": "2"},
            {"to": "grace.hopper@example.org", "name": "3"},
            {"to": "nobody@example.org", "name": "4"},
        ]
        result = make_instance(rows, fail_on="never").run()
        assert statuses(result) == ["sent", "sent", "sent", "failed"]
        assert [row["record_id"] for row in result["rows"]] == [ADA, ADA, GRACE, None]
        assert sandbox.counts()["search"] == 3

    def test_an_address_of_several_records_is_that_rows_error(self, make_instance, sandbox, tmp_path):
        sandbox.add_records(
            "Contacts",
            [
                {"Last_Name": "Twin", "Email": "twin@example.org"},
                {"Last_Name": "T", "Email": "twin@example.org"},
            ],
        )
        path = tmp_path / "results.jsonl"
        rows = [{"to": "twin@example.org", "name": "x"}]
        make_instance(rows, fail_on="never", results_path=path).run()
        assert "several records have the address" in json.loads(path.read_text())["detail"]

    def test_a_file_of_many_rows_is_uploaded_once(self, make_instance, sandbox, tmp_path):
        (tmp_path / "a.txt").write_text("a")
        (tmp_path / "b.txt").write_text("b")
        rows = people(sandbox, 30)
        rows[7]["files"] = [str(tmp_path / "a.txt"), f"file://{tmp_path}/b.txt"]
        make_instance(
            rows,
            files=str(tmp_path / "a.txt"),
            row_fields=("record_id", "to", "files"),
            files_root=tmp_path,
        ).run()
        assert sandbox.counts()["files"] == 2
        assert sorted(len(mail["attachments"]) for mail in sandbox.mails()) == [1] * 29 + [2]

    def test_content_from_a_file(self, make_task, sandbox, tmp_path, store):
        from airflow import DAG

        (tmp_path / "hello.html").write_text("<i>{{ mail.name }}</i>")
        rows = [{"record_id": ADA, "to": "a@example.org", "name": "<x>"}]
        with DAG(
            "dag", schedule=None, template_searchpath=[str(tmp_path)], render_template_as_native_obj=True
        ):
            task = make_task(rows, content="hello.html", subject="{{ 12 }}")
        TaskInstance(task, store=store, start=sandbox.now()).run()
        assert sandbox.mails()[0]["content"].startswith("<i>&lt;x&gt;</i>")
        assert sandbox.mails()[0]["subject"] == "12"

    @pytest.mark.parametrize(("given", "sent"), [(None, None), (2026, "2026")], ids=str)
    def test_a_subject_and_content_that_are_no_text(self, make_instance, sandbox, given, sent):
        rows = [{"record_id": ADA, "to": "a@example.org", "content": "Hi"}]
        make_instance(rows, subject=given, content=given).run()
        assert sandbox.mails()[0]["subject"] == sent

    def test_results_that_could_not_be_written_are_no_surprise_after_the_mails(self, make_instance, sandbox):
        with pytest.raises(AirflowFailException, match=r"results_path: .*install Airflow's provider"):
            make_instance(people(sandbox, 1), results_path="abfs://bucket/results.csv").run()
        assert sandbox.counts()["send_mail"] == 0

    def test_a_row_without_a_value_of_the_template_fails(self, make_task, sandbox, store):
        from airflow import DAG

        with DAG("dag", schedule=None):
            task = make_task([{"record_id": ADA, "to": "a@example.org"}], fail_on="never")
        result = TaskInstance(task, store=store, start=sandbox.now()).run()
        assert statuses(result) == ["failed"]


class TestTries:
    """How consecutive tries behave."""

    def test_a_retry_after_a_kill_sends_what_is_left(self, make_instance, sandbox, kill_after):
        rows = people(sandbox, 70)
        instance = make_instance(rows)
        kill_after(instance, 50)
        before = len(sandbox.mails())
        result = instance.run()
        assert records_of(sandbox) == sorted(row["record_id"] for row in rows)
        assert result["sent"] == 70 - before
        assert result["already_sent"] == before
        ids = {mail["record_id"]: mail["message_id"] for mail in sandbox.mails()}
        assert {row["record_id"]: row["message_id"] for row in result["rows"]} == ids

    def test_a_kill_before_the_request(self, make_instance, sandbox, kill_after):
        rows = people(sandbox, 10)
        instance = make_instance(rows)
        kill_after(instance, 3, sent=False)
        instance.run()
        assert records_of(sandbox) == sorted(row["record_id"] for row in rows)

    @pytest.mark.parametrize("fault", ["lost_answer", "500_after", "truncated"])
    def test_lost_answers_are_found_in_the_same_try(self, make_instance, sandbox, fault):
        sandbox.fault("send_mail", fault, times=30)
        result = make_instance(people(sandbox, 50)).run()
        assert statuses(result) == ["sent"] * 50
        assert len(sandbox.mails()) == 50

    def test_what_did_not_arrive_is_sent_by_the_next_try(self, make_instance, sandbox):
        sandbox.fault("send_mail", "dropped", times=3)
        rows = people(sandbox, 20)
        instance = make_instance(rows)
        with pytest.raises(errors.BiginMailsLeftError, match="3 unknown"):
            instance.run()
        assert len(sandbox.mails()) == 17
        instance.retry()
        result = instance.run()
        assert (result["sent"], result["already_sent"]) == (3, 17)
        assert records_of(sandbox) == sorted(row["record_id"] for row in rows)

    def test_if_all_answers_get_lost_the_run_ends(self, make_instance, sandbox):
        sandbox.fault("send_mail", "500_before", times=None)
        rows = people(sandbox, 90)
        instance = make_instance(rows)
        with pytest.raises(errors.BiginMailsLeftError, match="skipped"):
            instance.run()
        assert sandbox.counts()["send_mail"] < 90
        sandbox.clear_faults()
        instance.retry()
        instance.run()
        assert records_of(sandbox) == sorted(row["record_id"] for row in rows)

    def test_the_daily_limit_ends_the_run_and_the_next_try_goes_on(self, make_instance, sandbox):
        sandbox.settings(daily_mail_limit=25)
        rows = people(sandbox, 60)
        instance = make_instance(rows, limit_wait=None)
        with pytest.raises(errors.BiginMailsLeftError, match=r"25 sent.*skipped.*LIMIT_EXCEEDED"):
            instance.run()
        assert instance.xcoms["return_value"]["sent"] == len(sandbox.mails()) == 25
        assert sandbox.counts()["send_mail"] <= 25 + 5
        sandbox.settings(daily_mail_limit=None)
        instance.retry()
        instance.run()
        assert records_of(sandbox) == sorted(row["record_id"] for row in rows)

    def test_one_refusal_holds_up_all(self, make_instance, sandbox):
        sandbox.fault("send_mail", "429_concurrency", skip=10, retry_after=40)
        make_instance(people(sandbox, 30)).run()
        times = sorted(mail["received_at"] for mail in sandbox.mails())
        pause = max(range(1, 30), key=lambda index: times[index] - times[index - 1])
        assert times[pause] - times[pause - 1] >= 40 - 5
        # Those in progress may still arrive, as may those that start while the refusal is on its way back,
        # at most five at a time; then nobody sends.
        assert 10 <= pause <= 10 + 2 * 5

    def test_a_lower_limit_than_ours_is_found(self, make_instance, sandbox):
        sandbox.settings(concurrency_limit=2, latency=0.02)
        make_instance(people(sandbox, 60), max_concurrency=8).run()
        assert len(sandbox.mails()) == 60

    def test_a_repeat_long_after_is_announced_anew(self, make_instance, sandbox, store, monkeypatch):
        if store is None:
            pytest.skip("nothing is announced")
        sandbox.fault("send_mail", "429_concurrency", times=2, retry_after=50)
        request = BiginClient._request
        ages = []

        def look(self, method, path, token, *, before, **content):
            def announced():
                before()
                windows = {intent[2][1]: intent[-1] for intent in head(store)["open"]}
                ages.append(sandbox.now() - windows[path.split("/")[1]][0])

            is_post = path.endswith("send_mail")
            return request(self, method, path, token, before=announced if is_post else before, **content)

        monkeypatch.setattr(BiginClient, "_request", look)
        make_instance(people(sandbox, 45)).run()
        assert len(ages) >= 45
        # Bigin's clock is known to the second.
        assert max(ages) <= LEASE + 2

    def test_other_rows_on_the_retry(self, make_instance, make_task, sandbox, kill_after):
        rows = people(sandbox, 40)
        instance = make_instance(rows[:30])
        kill_after(instance, 20)
        instance.task = make_task([*rows[30:], *reversed(rows[:30])])
        result = instance.run()
        assert records_of(sandbox) == sorted(row["record_id"] for row in rows)
        ids = {mail["record_id"]: mail["message_id"] for mail in sandbox.mails()}
        assert {row["record_id"]: row["message_id"] for row in result["rows"]} == ids

    def test_equal_rows_are_as_many_mails(self, make_instance, sandbox, kill_after):
        rows = [{"record_id": ADA, "to": "ada.lovelace@example.org", "name": "Ada"}] * 6
        instance = make_instance(rows, max_concurrency=2)
        kill_after(instance, 4)
        instance.run()
        assert len(sandbox.mails()) == 6

    def test_equal_rows_without_a_mark_to_tell_end_in_doubt(self, make_instance, sandbox):
        sandbox.settings(single_mail=False)
        sandbox.fault("send_mail", "lost_answer", times=2)
        rows = [{"record_id": ADA, "to": "ada.lovelace@example.org", "name": "Ada"}] * 2
        with pytest.raises(AirflowFailException, match="2 unknown"):
            make_instance(rows).run()
        assert len(sandbox.mails()) == 2

    def test_clearing_after_a_success_sends_all_again(self, make_instance, sandbox, store):
        instance = make_instance(people(sandbox, 15))
        instance.run()
        sandbox.advance(600)
        if store is None:
            instance.clear(sandbox.now())
            with pytest.raises(AirflowFailException, match="15 unknown"):
                instance.run()
            instance.task.on_unknown_outcome = "resend"
        instance.clear(sandbox.now())
        assert instance.run()["sent"] == 15
        assert len(sandbox.mails()) == 30
        task = task_half(("dag", "run", "mails", -1))
        assert len({find_markers(mail["content"], task) for mail in sandbox.mails()}) == 30

    def test_a_refused_mail_is_not_tried_again_by_a_retry(self, make_instance, sandbox, store):
        if store is None:
            pytest.skip("nothing tells that it was refused")
        rows = people(sandbox, 5)
        sandbox.fault("send_mail", "item_error", record_id=rows[1]["record_id"])
        sandbox.fault("send_mail", "record_locked", record_id=rows[2]["record_id"])
        instance = make_instance(rows)
        with pytest.raises(errors.BiginMailsLeftError):
            instance.run()
        instance.retry()
        with pytest.raises(AirflowFailException, match="1 failed"):
            instance.run()
        assert statuses(instance.xcoms["return_value"]) == [
            "already_sent", "failed", "sent", "already_sent", "already_sent"
        ]  # fmt: skip

    def test_clearing_after_a_failure_sends_what_is_left(self, make_instance, sandbox, store):
        if store is None:
            pytest.skip("nothing tells what was sent")
        rows = people(sandbox, 5)
        sandbox.fault("send_mail", "item_error", record_id=rows[1]["record_id"])
        instance = make_instance(rows)
        with pytest.raises(AirflowFailException, match="1 failed"):
            instance.run()
        instance.clear(sandbox.now())
        result = instance.run()
        assert (result["sent"], result["already_sent"]) == (1, 4)
        assert records_of(sandbox) == sorted(row["record_id"] for row in rows)

    def test_a_clear_is_remembered_if_its_first_try_is_cut_short(self, make_instance, sandbox, store):
        if store is None:
            pytest.skip("nothing tells what was sent")
        rows = people(sandbox, 2)
        refused = rows[0]["record_id"]
        sandbox.fault("send_mail", "item_error", record_id=refused)
        instance = make_instance(rows, limit_wait=None)
        with pytest.raises(AirflowFailException, match="1 failed"):
            instance.run()
        instance.clear(sandbox.now())
        sandbox.fault("send_mail", "429_credits", record_id=refused)
        with pytest.raises(errors.BiginMailsLeftError):
            instance.run()
        instance.retry()
        assert instance.run()["sent"] == 1
        assert records_of(sandbox) == sorted(row["record_id"] for row in rows)

    def test_wrong_credentials_end_the_run(self, make_instance, sandbox):
        sandbox.fault("send_mail", "scope_mismatch", times=None)
        with pytest.raises(AirflowFailException, match="OAUTH_SCOPE_MISMATCH"):
            make_instance(people(sandbox, 100)).run()
        assert sandbox.counts()["send_mail"] <= 5

    @pytest.mark.parametrize(("policy", "status"), [("check", "unknown"), ("resend", "sent")])
    def test_mails_in_doubt(self, make_instance, sandbox, kill_after, policy, status):
        rows = people(sandbox, 8)
        instance = make_instance(rows, on_unknown_outcome=policy, fail_on="never", max_concurrency=1)
        kill_after(instance, 4, sent=False)
        sandbox.settings(emails_outage="scope")
        result = instance.run()
        assert status in statuses(result)
        counts = sandbox.mail_counts()
        if policy == "check":
            assert set(counts.values()) == {1}

    def test_no_address_in_the_log(self, make_instance, sandbox, kill_after, caplog):
        caplog.set_level(logging.INFO)
        instance = make_instance(people(sandbox, 50))
        kill_after(instance, 20)
        instance.run()
        assert "looking for them" in caplog.text
        assert "example.org" not in caplog.text


@pytest.mark.parametrize(
    ("fail_on", "bad", "fails"),
    [
        ("any", 1, True),
        ("all", 1, False),
        ("all", 3, True),
        ("never", 3, False),
    ],
)
@pytest.mark.parametrize("store", ["store"], indirect=True)
def test_fail_on(make_instance, sandbox, fail_on, bad, fails):
    rows = people(sandbox, 3)
    for row in rows[:bad]:
        row["to"] = "nobody"
    instance = make_instance(rows, fail_on=fail_on)
    if fails:
        with pytest.raises(AirflowFailException, match=f"{bad} failed"):
            instance.run()
        assert instance.xcoms["return_value"]["failed"] == bad
    else:
        assert instance.run()["failed"] == bad


@pytest.mark.parametrize("store", ["store"], indirect=True)
def test_what_a_retry_may_cure_is_retried_whatever_fail_on_says(make_instance, sandbox):
    rows = people(sandbox, 3)
    sandbox.fault("send_mail", "record_locked", record_id=rows[0]["record_id"], times=2)
    instance = make_instance(rows, fail_on="never", retries=1)
    with pytest.raises(errors.BiginMailsLeftError):
        instance.run()
    instance.retry()
    assert instance.run()["failed"] == 1


@pytest.mark.parametrize("store", ["store"], indirect=True)
class TestWithStore:
    def test_writes_are_few_and_small(self, make_instance, sandbox, store):
        rows = people(sandbox, 200)
        for row in rows[:40]:
            row["to"] = [f"recipient{n}.of.many@example.org" for n in range(50)]
            row["cc"] = [f"copy{n}.of.many@example.org" for n in range(50)]
        make_instance(rows, row_fields=("record_id", "to", "cc")).run()
        assert store.writes <= 200 / 20
        assert max(len(json.dumps(value)) for value in store.stored().values()) < 64 * 1024

    def test_the_store_keeps_no_addresses(self, make_instance, sandbox, store):
        make_instance(people(sandbox, 50)).run()
        assert "@" not in json.dumps(store.stored())

    def test_a_write_that_fails_ends_the_run_at_once(self, make_instance, sandbox, store, monkeypatch):
        rows = people(sandbox, 200)
        instance = make_instance(rows)
        with monkeypatch.context() as patch:
            set_state = StateStore.set

            def refuse_third(self, key, value, **kwargs):
                if self.writes >= 2:
                    raise OSError("no supervisor")
                set_state(self, key, value)

            patch.setattr(StateStore, "set", refuse_third)
            with pytest.raises(errors.BiginJournalError, match="OSError"):
                instance.run()
        assert len(sandbox.mails()) <= 2 * BLOCK_SIZE
        instance.retry()
        instance.run()
        assert records_of(sandbox) == sorted(row["record_id"] for row in rows)

    def test_a_try_that_airflow_has_given_up_on_sends_nothing(self, make_instance, sandbox):
        instance = make_instance(people(sandbox, 5))
        instance.state = "failed"
        with pytest.raises(errors.BiginStaleAttemptError):
            instance.run()
        assert sandbox.mails() == []

    @pytest.mark.parametrize("damage", ["text", {"version": 99}, [], 7])
    def test_with_a_damaged_head_nobody_is_mailed_again(self, make_instance, sandbox, store, damage):
        rows = people(sandbox, 12)
        instance = make_instance(rows)
        instance.run()
        store.set(next(iter(store.stored())), damage)
        instance.retry()
        with pytest.raises(AirflowFailException, match="12 unknown"):
            instance.run()
        assert len(sandbox.mails()) == 12

    def test_a_success_that_airflow_did_not_hear_of_is_not_repeated(self, make_instance, sandbox):
        instance = make_instance(people(sandbox, 5))
        instance.run()
        instance.retry()
        assert instance.run()["already_sent"] == 5
        assert len(sandbox.mails()) == 5


@pytest.mark.parametrize("store", ["none"], indirect=True)
@pytest.mark.parametrize(("policy", "sent"), [("check", None), ("resend", 101)])
def test_where_nothing_is_kept_more_than_100_mails_are_not_looked_for(
    make_instance, sandbox, kill_after, policy, sent
):
    instance = make_instance(people(sandbox, 101), on_unknown_outcome=policy)
    kill_after(instance, 50)
    arrived = len(sandbox.mails())
    if sent:
        assert instance.run()["sent"] == sent
        return
    with pytest.raises(AirflowFailException, match="101 unknown"):
        instance.run()
    assert len(sandbox.mails()) == arrived
    assert sandbox.counts()["emails"] == 0


@pytest.mark.parametrize("store", ["store"], indirect=True)
@pytest.mark.parametrize("name", ["results.csv", "deep/down/results.jsonl"])
def test_the_results_file(make_instance, sandbox, tmp_path, name):
    rows = [*people(sandbox, 3), {"record_id": ADA, "to": "nobody", "name": "x"}]
    path = tmp_path / name
    result = make_instance(rows, fail_on="never", results_path=str(path)).run()
    text = path.read_text()
    lines = (
        list(csv.DictReader(text.splitlines()))
        if name.endswith("csv")
        else [json.loads(line) for line in text.splitlines()]
    )
    assert [line["status"] for line in lines] == ["sent", "sent", "sent", "failed"]
    assert [line["record_id"] for line in lines] == [row["record_id"] for row in rows]
    assert "'nobody' is not a valid e-mail address" in lines[3]["detail"]
    assert result["results_path"] == str(path)


def head(store):
    """Return what the store keeps besides segments."""
    (value,) = (value for key, value in store.stored().items() if "segment" not in key)
    return value
