"""Every way from an upstream task into an argument, with malicious outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from airflow import DAG

try:  # Airflow 3
    from airflow.sdk import TaskGroup, task, task_group
except ImportError:
    from airflow.decorators import task, task_group
    from airflow.utils.task_group import TaskGroup

from airflow_provider_bigin.operators.bigin import (
    BiginBulkSendMailOperator,
    BiginRecordsOperator,
    BiginSendMailOperator,
)
from airflow_provider_bigin.sensors.bigin import BiginMailStatusSensor

ADA = "5000000000000000101"
EVIL = "{{ conn.bigin_default.password }}|{{ var.value.x }}|{{ 12345679 * 999999999 }}"


def see(name, *values):
    with Path(os.environ["SEEN"]).open("a") as file:
        file.write(json.dumps([name, *values]) + "\n")


class SeenRecords(BiginRecordsOperator):
    def execute(self, context):
        see(self.task_id, self.criteria, self.module)


class SeenSensor(BiginMailStatusSensor):
    def execute(self, context):
        see(self.task_id, self.message_id, self.record_id)


with DAG("upstream_is_data", schedule=None, default_args={"reply_to": "team{{ 21 * 2 }}@example.org"}) as dag:

    @task
    def make_texts():
        return [EVIL]

    @task
    def make_text():
        return EVIL

    @task
    def make_rows():
        return [{"to": "kwargs@example.org", "content": EVIL}]

    @task
    def make_copies():
        return [{"user_name": EVIL, "email": "cc@example.org"}]

    @task
    def address():
        return f'"{EVIL}" <cc@example.org>'

    @task
    def row(name):
        return {"to": f"{name}@example.org", "content": EVIL}

    @task
    def people(name):
        return [f"{name}@example.org"]

    def mail(task_id, **arguments):
        return BiginSendMailOperator.partial(
            task_id=task_id,
            **{"record_id": ADA, "subject": f"{task_id} {{{{ 6 * 7 }}}}", **arguments},
        )

    def rows(name, **more):
        return given.map(lambda row: {**row, "to": f"{name}@example.org", **more})

    given, texts, text = make_rows(), make_texts(), make_text()
    literal = "<p>{{ 6 * 7 }}</p>"

    # expand_kwargs
    mail("kwargs").expand_kwargs(given)
    mail("mapped").expand_kwargs(rows("mapped"))
    mail("zipped").expand_kwargs(
        people("zipped").zip(texts).map(lambda pair: {"to": pair[0], "content": pair[1]})
    )
    mail("concat").expand_kwargs(rows("concat").concat(rows("concat2")))
    mail("one").expand_kwargs([row("one"), {"to": "element@example.org", "content": literal}])
    mail("written").expand_kwargs([{"to": "written@example.org", "content": literal}])
    copies = make_copies()
    mail("nested").expand_kwargs(
        [{"to": "nested@example.org", "content": literal, "cc": copies}]
    ).set_upstream(copies.operator)
    mail("override", content=literal, subject="-").expand_kwargs(
        given.map(lambda row: {"to": "override@example.org", "subject": row["content"]}),
        strict=False,
    )
    mail("default").expand_kwargs(rows("default"))

    # expand
    mail("plain", to="plain@example.org").expand(content=texts)
    mail("literal", to="literal@example.org").expand(content=[literal])
    mail("list", content="-").expand_kwargs(
        [{"to": "list{{ 6 * 7 }}@example.org", "cc": [copies, "{{ 6 * 7 }}@example.org"]}]
    ).set_upstream(copies.operator)

    # no mapping, or of a group
    BiginSendMailOperator(
        task_id="direct",
        record_id=ADA,
        to="direct@example.org",
        subject="direct {{ 6 * 7 }}",
        content=text,
    )
    mail("partial", content=text).expand(to=["partial@example.org"])

    @task_group
    def group(value):
        BiginSendMailOperator(
            task_id="mail", record_id=ADA, to="group@example.org", subject="group {{ 6 * 7 }}", content=value
        )

    group.expand(value=texts)

    @task_group
    def group_of_rows(to, content):
        BiginSendMailOperator(
            task_id="mail", record_id=ADA, to=to, subject="grouprow {{ 6 * 7 }}", content=content
        )

    group_of_rows.expand_kwargs(rows("grouprow"))

    # among the values of expand, set later, in default_args, in a tuple (no set takes one)
    mail("among", to="among@example.org", content=literal).expand(cc=[copies, "{{ 6 * 7 }}@example.org"])
    later = BiginSendMailOperator(
        task_id="later", record_id=ADA, to="later@example.org", subject="{{ 6 * 7 }}"
    )
    later.content = text
    default = text
    with TaskGroup("defaults", default_args={"content": default}):
        mail("defaulted").expand(to=["defaulted@example.org"]).set_upstream(default.operator)
    BiginSendMailOperator(
        task_id="in_a_tuple",
        record_id=ADA,
        to="inatuple@example.org",
        subject="{{ 6 * 7 }}",
        content=literal,
        cc=(address(), {"email": "cc2@example.org", "user_name": text}, "cc{{ 1 + 2 }}@example.org"),
    )

    # bulk
    bulk_rows = [{"record_id": ADA, "to": "bulk@example.org"}]
    BiginBulkSendMailOperator.partial(task_id="bulk", subject="bulk {{ 6 * 7 }}").expand_kwargs(
        given.map(
            lambda row: {"content": row["content"], "mails": [{"record_id": ADA, "to": "bulk@example.org"}]}
        )
    )
    BiginBulkSendMailOperator(
        task_id="bulkdirect",
        mails=[{"record_id": ADA, "to": "bulkdirect@example.org"}],
        subject="{{ 6 * 7 }}",
        content=text,
    )

    BiginBulkSendMailOperator(
        task_id="bulknested",
        mails=[
            {"record_id": ADA, "to": "bulknested@example.org", "name": text, "more": (text, "{{ 6 * 7 }}")}
        ],
        subject="{{ mail.name }}",
        content="{{ mail.more | join(' ') | safe }}",
    )

    # names of files
    mail("minutes").expand_kwargs(rows("minutes", content="board_minutes.txt"))
    root = os.environ.get("FILES_ROOT", "/nowhere")
    mail("attached", files_root=root).expand_kwargs(rows("attached", files="a.txt"))
    mail("no_root").expand_kwargs(rows("no_root", files=f"{root}/a.txt"))
    mail("outside", files_root=root).expand_kwargs(rows("outside", files="../secret.txt"))
    shown = '<img src="cid:a">'
    mail("pictured", files_root=root).expand_kwargs(rows("pictured", content=shown, images={"a": "a.txt"}))
    mail("unpictured", files_root=root).expand_kwargs(
        rows("unpictured", content=shown, images={"a": "../secret.txt"})
    )
    mail("own_root").expand_kwargs(rows("own_root", files="/etc/hostname", files_root="/"))

    @task
    def path():
        return "/etc/hostname"

    BiginSendMailOperator(
        task_id="direct_file",
        record_id=ADA,
        to="a@example.org",
        subject="x",
        content="<p>x</p>",
        files=[path()],
    )
    BiginBulkSendMailOperator.partial(task_id="own_fields", content="-").expand_kwargs(
        given.map(lambda row: {"mails": bulk_rows, "row_fields": ["bcc"]})
    )

    # readers
    SeenRecords.partial(task_id="records", fields=["id"]).expand(criteria=texts)
    SeenRecords(task_id="records_direct", fields=["id"], criteria=text)
    SeenSensor.partial(task_id="sensor", record_id="{{ 6 * 7 }}").expand_kwargs(
        texts.map(lambda text: {"message_id": text})
    )


# What the author's template pulls is rendered with the template, not a second time.
for name, is_native in (("pulled", False), ("pulled_native", True)):
    with DAG(name, schedule=None, render_template_as_native_obj=is_native):

        @task
        def evil():
            return EVIL

        @task
        def evil_rows():
            return [{"record_id": ADA, "to": "bulk@example.org", "subject": EVIL}]

        arguments = {"content": "{{ ti.xcom_pull('evil') }}", "subject": "{{ ti.xcom_pull('evil') }}"}
        to = {"user_name": "{{ ti.xcom_pull('evil') }}", "email": "{{ 'one' }}@example.org"}
        BiginSendMailOperator(task_id="one", record_id=ADA, to=to, **arguments).set_upstream(evil())
        if is_native:
            BiginBulkSendMailOperator(
                task_id="bulk", mails="{{ ti.xcom_pull('evil_rows') }}", content=arguments["content"]
            ).set_upstream([evil.override(task_id="evil2")(), evil_rows()])
