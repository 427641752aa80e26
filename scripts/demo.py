"""Run each example DAG with ``airflow dags test`` against a sandbox and show the mails that arrived."""

from __future__ import annotations

import html
import os
import re
import shlex
import shutil
import sqlite3
import sys
import textwrap
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import requests
from local import EXAMPLES, HOME, AirflowFailedError, airflow, environment, sandbox, sandbox_command, shown

INBOX = HOME / "inbox.db"
MAILS_SHOWN = 2
#: DAGs that wait for somebody to click in the web interface.
ASK_A_PERSON = {"bigin_approved_mailing"}


def main() -> None:
    """Run the demo."""
    HOME.mkdir(parents=True, exist_ok=True)
    for leftover in HOME.glob("inbox.db*"):
        leftover.unlink()
    dags = [file.stem for file in sorted(EXAMPLES.glob("*.py")) if file.stem not in ASK_A_PERSON]
    print(f"Airflow {version('apache-airflow')}, {len(dags)} example DAGs, a local Bigin:", flush=True)
    try:
        make_database()
        with sandbox(INBOX) as bigin:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                logs = list(pool.map(lambda dag: run(dag, bigin.connection), dags))
            mails = requests.get(f"{bigin.url}sandbox/mails", timeout=10).json()["mails"]
    except AirflowFailedError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nStopped.")
    for dag in dags:
        print(summary(dag, mails))
    print(f"\nThe inbox    {shlex.join(map(shown, sandbox_command(INBOX)))}")
    print(f"             shows all {len(mails)} mails at http://127.0.0.1:8480")
    print("Airflow log  " + "\n             ".join(map(shown, logs)))


def database(name: str) -> Path:
    """Return the file of a database, one per DAG because the DAGs run in parallel."""
    return HOME / f"{name}.db"


def make_database() -> None:
    """Create the database that each DAG gets a copy of, once per version of Airflow."""
    pristine = database(version("apache-airflow"))
    if not pristine.exists():
        print("  airflow db migrate, the first time only", flush=True)
        being_made = database("migrating")
        being_made.unlink(missing_ok=True)
        airflow("db migrate", HOME / "migrate.log", environment_with(being_made))
        being_made.rename(pristine)


def run(dag: str, connection: str) -> Path:
    """Run a DAG and return the file with Airflow's output."""
    started = time.monotonic()
    log = HOME / f"{dag}.log"
    shutil.copy(database(version("apache-airflow")), database(dag))
    env = environment_with(database(dag), AIRFLOW_CONN_BIGIN_DEFAULT=connection)
    airflow(f"dags test {dag}", log, env)
    print(f"  airflow dags test {dag:20} {time.monotonic() - started:4.0f} s", flush=True)
    return log


def environment_with(metadata: Path, **variables: str) -> dict[str, str]:
    """Return the environment of an Airflow with its own database."""
    return environment(AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{metadata}", **variables)


def summary(dag: str, mails: list[dict[str, Any]]) -> str:
    """Return a summary of the mails that a DAG sent and the XComs that name them."""
    pushed = xcoms(dag)
    arrived = [mail for mail in reversed(mails) if any(mail["message_id"] in value for _, _, value in pushed)]
    if not arrived:
        sys.exit(f"\n{dag} did not push the message_id of any mail that arrived: {pushed}")
    lines = ["", dag]
    for mail in arrived[:MAILS_SHOWN]:
        task, key = next((task, key) for task, key, value in pushed if mail["message_id"] in value)
        lines += [
            field("message_id", mail["message_id"]),
            field("XCom", f"{key} of task {task}"),
            *described(mail),
            "",
        ]
    if len(arrived) > MAILS_SHOWN:
        lines.append(field("", f"and {len(arrived) - MAILS_SHOWN} more"))
    return "\n".join(lines).rstrip()


def xcoms(dag: str) -> list[tuple[str, str, str]]:
    """Return the task, key, and JSON value of each XCom of a DAG, those named ``message_id`` first."""
    with sqlite3.connect(database(dag)) as metadata:
        return metadata.execute(
            "SELECT task_id, key, CAST(value AS TEXT) FROM xcom"
            " ORDER BY key <> 'message_id', task_id, map_index",
        ).fetchall()


def described(mail: Mapping[str, Any]) -> list[str]:
    """Return the lines that show a mail, without its empty fields."""
    fields = {
        "From": address(mail["from"]),
        "To": addresses(mail["to"]),
        "Cc": addresses(mail["cc"]),
        "Reply-To": address(mail["reply_to"]) if mail["reply_to"] else "",
        "Subject": mail["subject"],
        "Scheduled": mail["scheduled_time"],
        "Attached": ", ".join(file["name"] for file in mail["attachments"]),
        "Filed under": f"{mail['module']} {mail['record_id']}",
        "Text": textwrap.shorten(plain(mail["content"]), 160, placeholder=" ..."),
    }
    return [field(name, value) for name, value in fields.items() if value]


def field(name: str, value: str) -> str:
    """Return a field of the summary, wrapped."""
    return textwrap.fill(
        value,
        110,
        initial_indent=f"  {name:12} ",
        subsequent_indent=" " * 15,
        break_long_words=False,
        break_on_hyphens=False,
    )


def addresses(people: list[Mapping[str, str]]) -> str:
    """Return addresses as a mail client shows them."""
    return ", ".join(map(address, people))


def address(person: Mapping[str, str]) -> str:
    """Return an address as a mail client shows it."""
    return f"{person['user_name']} <{person['email']}>" if person.get("user_name") else person["email"]


def plain(content: str) -> str:
    """Return the text of an HTML mail."""
    return html.unescape(re.sub(r"<[^>]*>", " ", content))


if __name__ == "__main__":
    main()
