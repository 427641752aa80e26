"""Values from other tasks are data, however they get into an argument."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)  # Airflow starts several times, and runs many tasks

DAGS = Path(__file__).parent / "dags"
#: What an upstream task returns, and what it would become if it were a template.
EVIL = "{{ conn.bigin_default.password }}|{{ var.value.x }}|{{ 12345679 * 999999999 }}"


def test_no_value_of_another_task_is_rendered(run_dag, sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_VAR_X", "value-of-x")
    monkeypatch.setenv("SEEN", str(tmp_path / "seen.jsonl"))
    monkeypatch.setenv("FILES_ROOT", str(tmp_path / "root"))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.txt").write_text("a")
    (tmp_path / "secret.txt").write_text("s")

    rows = run_dag("upstream_is_data", DAGS, may_fail=True)
    states = {(task_id, index): state for task_id, index, _, state in rows}
    mails = {mail["to"][0]["email"].partition("@")[0]: mail for mail in sandbox.mails()}
    seen = [json.loads(line) for line in (tmp_path / "seen.jsonl").read_text().splitlines()]

    for what in (*sandbox.mails(), *seen):
        for secret in (sandbox.connection()["password"], "value-of-x", "12345678987654321"):
            assert secret not in json.dumps(what), json.dumps(what)

    # What the DAG's author wrote is rendered, even beside data.
    for name in (
        *("kwargs", "mapped", "zipped", "concat", "plain", "direct", "partial", "group", "one"),
        *("grouprow", "defaulted"),
    ):
        assert mails[name]["content"].startswith(EVIL), name
        assert mails[name]["subject"] == f"{name} 42", name
    assert mails["literal"]["content"].startswith("<p>42</p>")
    assert mails["written"]["content"].startswith("<p>42</p>")
    assert mails["element"]["content"].startswith("<p>42</p>")
    assert mails["nested"]["content"].startswith("<p>42</p>")
    assert mails["nested"]["cc"][0]["user_name"] == EVIL
    assert mails["default"]["reply_to"]["email"] == "team42@example.org"
    assert mails["override"]["subject"] == EVIL
    assert mails["override"]["content"].startswith("<p>42</p>")
    assert mails["bulk"]["content"].startswith(EVIL)
    assert mails["bulk"]["subject"] == "bulk 42"
    assert mails["bulkdirect"]["content"].startswith(EVIL)
    assert mails["bulknested"]["subject"] == EVIL
    assert mails["bulknested"]["content"].startswith(f"{EVIL} {{{{ 6 * 7 }}}}")
    copied = sorted((mail["cc"][0] for mail in sent_to(sandbox, "among")), key=lambda cc: cc["email"])
    assert copied == [{"email": "42@example.org"}, {"email": "cc@example.org", "user_name": EVIL}]
    assert mails["later"]["content"].startswith(EVIL)
    assert mails["later"]["subject"] == mails["inatuple"]["subject"] == "42"
    assert [person.get("user_name") for person in mails["inatuple"]["cc"]] == [EVIL, EVIL, None]
    assert mails["inatuple"]["cc"][2]["email"] == "cc3@example.org"
    assert mails["list42"]["cc"][0]["user_name"] == EVIL
    assert mails["list42"]["cc"][1]["email"] == "42@example.org"

    # A file name in data is plain text; a path is refused unless it is below the author's files_root.
    assert mails["minutes"]["content"].startswith("board_minutes.txt")
    assert len(mails["attached"]["attachments"]) == 1
    assert "/crm/viewInLineImage?fileContent=" in mails["pictured"]["content"]
    failed = {task for task, state in states.items() if state == "failed"}
    assert failed == {
        *((name, 0) for name in ("no_root", "outside", "unpictured", "own_root", "own_fields")),
        ("direct_file", -1),
    }

    assert sorted(seen) == [
        ["records", EVIL, "Contacts"],
        ["records_direct", EVIL, "Contacts"],
        ["sensor", EVIL, "42"],
    ]


@pytest.mark.parametrize("dag_id", ["pulled", "pulled_native"])
def test_what_a_template_pulls_is_no_template(run_dag, sandbox, monkeypatch, dag_id):
    monkeypatch.setenv("AIRFLOW_VAR_X", "value-of-x")
    run_dag(dag_id, DAGS)
    (mail,) = sent_to(sandbox, "one")
    assert mail["subject"] == mail["to"][0]["user_name"] == EVIL
    assert mail["content"].startswith(EVIL)
    for mail in sent_to(sandbox, "bulk"):
        assert mail["subject"] == EVIL
        assert mail["content"].startswith("{{ conn.bigin_default.password }}|")
    assert len(sandbox.mails()) == (2 if dag_id == "pulled_native" else 1)


def sent_to(sandbox, name):
    return [mail for mail in sandbox.mails() if mail["to"][0]["email"] == f"{name}@example.org"]
