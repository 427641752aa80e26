from __future__ import annotations

import logging

import jinja2
import pytest
from airflow.exceptions import AirflowException

from airflow_provider_bigin.version_compat import AirflowFailException
from tests.task_instance import StateStore, TaskInstance


@pytest.fixture
def run(make_task, sandbox, tmp_path):
    """Render and run one try of the operator, as Airflow does."""

    def run(loader=None, variables=None, **changes):
        store = StateStore(tmp_path / "state.db")
        instance = TaskInstance(make_task(**changes), store=store, start=sandbox.now())
        context = {**instance.context(), **(variables or {})}
        environment = jinja2.Environment(loader=jinja2.DictLoader(loader or {}), autoescape=False)  # noqa: S701 - as Airflow's
        instance.task.render_template_fields(context, environment)
        return instance.task.execute(context)

    return run


def test_everything_is_templated(run, sandbox, tmp_path):
    (tmp_path / "report of today.html").write_text("<p>figures</p>")
    variables = {"value": "x", "ada": "ada.lovelace@example.org", "conn": "default", "path": str(tmp_path)}
    message_id = run(
        variables=variables,
        record_id="50000000000000001{{ '01' }}",
        module="{{ 'Con' ~ 'tacts' }}",
        to=["{{ ada }}"],
        cc="cc-{{ value }}@example.org",
        bcc=[{"user_name": "{{ value }}", "email": "bcc-{{ value }}@example.org"}],
        from_email="Team <team@{{ 'example.com' }}>",
        reply_to="{{ value }}@example.com",
        subject="Subject {{ value }}",
        content="<b>{{ value }}</b>",
        mail_format="{{ 'html' }}",
        org_email="{{ true }}",
        scheduled_time="{{ '2036-12-24T18:00:00+01:00' }}",
        files=["{{ path }}/report of {{ 'today' }}.html"],
        bigin_conn_id="bigin_{{ conn }}",
    )
    (mail,) = sandbox.mails()
    sent = mail["request"]["data"][0]
    assert mail["message_id"] == message_id
    assert len(sent.pop("attachments")) == 1
    assert sent.pop("content").startswith("<b>x</b>")
    assert sent == {
        "from": {"user_name": "Team", "email": "team@example.com"},
        "to": [{"email": "ada.lovelace@example.org"}],
        "cc": [{"email": "cc-x@example.org"}],
        "bcc": [{"user_name": "x", "email": "bcc-x@example.org"}],
        "reply_to": {"email": "x@example.com"},
        "subject": "Subject x",
        "mail_format": "html",
        "org_email": True,
        "scheduled_time": "2036-12-24T18:00:00+01:00",
    }


def test_what_native_rendering_makes_of_ids_and_texts(run, sandbox):
    run(record_id=5000000000000000101, subject=2026, content=42)
    (mail,) = sandbox.mails()
    assert (mail["record_id"], mail["subject"]) == ("5000000000000000101", "2026")
    assert mail["content"].startswith("42")


def test_content_is_read_from_a_template_file(run, sandbox):
    loader = {"mails/report.html": "{% include 'part.html' %} of {{ ds }}", "part.html": "<p>Figures</p>"}
    run(loader=loader, content="mails/report.html")
    assert sandbox.mails()[0]["content"].startswith("<p>Figures</p> of 2026-11-23")


def test_nothing_else_is_read_from_a_template_file(run, sandbox, tmp_path):
    (tmp_path / "report.html").write_text("<p>figures</p>")
    run(
        subject="Your report.txt",
        files=[f"{tmp_path}/report.html"],
        content="Two lines\nthat end in report.txt",
        attachments=None,
    )
    (mail,) = sandbox.mails()
    assert mail["subject"] == "Your report.txt"
    assert mail["content"].startswith("Two lines\nthat end in report.txt")


def test_an_attachment_id_that_ends_like_a_file_stays_an_id(run, sandbox):
    with pytest.raises(AirflowFailException, match="INVALID_DATA"):
        run(attachments=["0123456789.md"])


def test_a_template_file_that_is_not_there(run, sandbox):
    with pytest.raises(AirflowFailException, match=r"template file 'report\.txt'.*end it with a space"):
        run(content="report.txt")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"record_id": "../../users"}, "record_id: '../../users'"),
        ({"record_id": "{{ none }}"}, "record_id: 'None'"),
        ({"module": "Products"}, "module: 'Products'"),
        ({"to": ""}, "to: a mail needs at least one recipient"),
        ({"to": "ada"}, "to: 'ada' is not a valid e-mail address"),
        ({"scheduled_time": "2036-12-24T18:00:00"}, "scheduled_time: '2036-12-24T18:00:00' has no offset"),
        ({"files": ["/nowhere/report.pdf"]}, "files: there is no file '/nowhere/report.pdf'"),
        ({"files": 7}, "files: 7 is not a valid path or list of paths"),
        ({"files": ["x"] * 6, "attachments": ["y"] * 5}, "files: 11 attachments, but Bigin allows 10"),
        ({"on_unknown_outcome": "hope"}, "on_unknown_outcome: 'hope' must be one of check, fail, resend"),
        ({"bigin_conn_id": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_input_is_one_error_before_any_request(run, sandbox, changes, message):
    with pytest.raises((AirflowFailException, AirflowException)) as error:
        run(**changes)
    assert message in str(error.value)
    assert sum(sandbox.counts().values()) == 0


def test_a_file_in_no_known_storage_is_an_error_that_no_retry_cures(run, sandbox):
    with pytest.raises(AirflowFailException, match="nosuch"):
        run(files="nosuch://bucket/t.txt")
    assert sandbox.counts()["send_mail"] == 0


def test_files_that_are_too_large_together(run, sandbox, tmp_path):
    for name in ("a", "b"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(6 * 1024 * 1024)
    with pytest.raises(AirflowFailException, match="12,582,912 bytes in total, but Bigin allows 10,485,760"):
        run(files=[str(tmp_path / "a"), str(tmp_path / "b")])
    assert sum(sandbox.counts().values()) == 0


def test_a_dry_run_shows_who_would_get_the_mail_and_sends_nothing(run, sandbox, caplog, capsys):
    caplog.set_level(logging.INFO)
    assert run(dry_run=True, cc="grace@example.org", from_email=None) is None
    logged = caplog.text + capsys.readouterr().out  # Airflow 3's task log goes past the logging module
    assert "Ada Lovelace <ada.lovelace@example.org>" in logged
    assert "grace@example.org" in logged
    assert "the account's default from-address" in logged
    assert sum(sandbox.counts().values()) == 0


def test_a_dry_run_finds_what_is_wrong(run, sandbox):
    with pytest.raises(AirflowFailException, match="not a valid e-mail address"):
        run(dry_run=True, to="ada")
    assert sandbox.mails() == []


@pytest.mark.parametrize("store", ["store", "none"], indirect=True)  # Variables forget what is green
def test_a_retry_uploads_nothing_again(make_instance, sandbox, tmp_path, store, clock):
    (tmp_path / "a.txt").write_text("a")
    instance = make_instance(files=[str(tmp_path / "a.txt")])
    first = instance.run()
    instance.retry()
    assert instance.run() == first
    assert sandbox.counts()["files"] == 1


def test_being_told_to_stop_interrupts_the_task(make_task):
    with pytest.raises(SystemExit):
        make_task().on_kill()


def test_the_record_is_that_of_the_first_recipient(run, sandbox):
    run(record_id=None, to="ADA.Lovelace@example.org, grace.hopper@example.org")
    (mail,) = sandbox.mails()
    assert mail["record_id"] == "5000000000000000101"
    assert len(mail["to"]) == 2


@pytest.mark.parametrize(("number", "what"), [(0, "no record has"), (2, "several records have")])
def test_an_address_of_no_record_or_of_several_is_an_error(run, sandbox, number, what):
    twins = [{"Last_Name": f"Twin {index}", "Email": "twin@example.org"} for index in range(number)]
    if twins:
        sandbox.add_records("Contacts", twins)
    with pytest.raises(AirflowFailException, match=rf"{what} the address twin@example\.org in Contacts"):
        run(record_id="", to="twin@example.org")
    assert sandbox.counts()["send_mail"] == 0


@pytest.mark.parametrize("content", ["", " \n", "mails/welcome.mjml", "{{ '' }}", "missing.j2"])
def test_content_that_cannot_be_meant_is_refused(run, sandbox, content):
    with pytest.raises(AirflowFailException, match="content: "):
        run(content=content)
    assert sandbox.counts()["send_mail"] == 0


def test_an_empty_subject_is_warned_of(run, sandbox, caplog):
    run(subject="")
    assert "subject: it is empty" in caplog.text
    assert len(sandbox.mails()) == 1
