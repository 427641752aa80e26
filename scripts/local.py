"""A sandbox and an Airflow of its own, for the demo and the user interface."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "example_dags"
#: Set by the Makefile, for each target another directory.
HOME = Path(os.environ["AIRFLOW_HOME"])


@dataclass(frozen=True)
class Sandbox:
    """
    A running sandbox.

    :param url: where its inbox is.
    :param connection: the Airflow connection to it, as JSON.
    """

    url: str
    connection: str


@contextlib.contextmanager
def sandbox(database: Path, port: int = 0) -> Iterator[Sandbox]:
    """
    Run a sandbox until the context is left.

    :param database: the file that keeps its mails.
    :param port: 0 takes a free one.
    """
    command = [*sandbox_command(database), "--port", str(port)]
    # In a session of its own, so that Ctrl-C does not end it before the tasks that speak to it.
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout
            _, inbox, connection = (process.stdout.readline() for _ in range(3))
            if not connection:
                raise SystemExit("The sandbox did not start.")
            variable = shlex.split(connection)[-1]
            yield Sandbox(inbox.split()[-1], variable.partition("=")[2])
        finally:
            process.terminate()


def sandbox_command(database: Path) -> list[str]:
    """Return the command that runs a sandbox on a file."""
    return [sys.executable, "-m", "airflow_provider_bigin.sandbox", "--db", str(database)]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of Airflow's commands, which start one another by name."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        **variables,
    }


class AirflowFailedError(Exception):
    """A command of Airflow failed; the text holds the end of its output."""

    def __init__(self, command: str, log: Path) -> None:
        super().__init__(f"{tail(log)}\n\nairflow {command} failed. The whole log is in {shown(log)}")


def airflow(command: str, log: Path, env: Mapping[str, str], seconds: float = 180) -> None:
    """
    Run a command of Airflow with its output in a file.

    :param command: what follows ``airflow``.
    :param log: the file.
    :param env: see :func:`environment`.
    :param seconds: it may take.
    :raises AirflowFailedError: if it fails.
    """
    arguments = [sys.executable, "-m", "airflow", *command.split()]
    with log.open("w") as output:
        try:
            subprocess.run(arguments, env=env, stdout=output, stderr=output, timeout=seconds, check=True)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            raise AirflowFailedError(command, log) from None


def tail(path: Path, lines: int = 30) -> str:
    """Return the last lines of a file."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def shown(path: Path | str) -> str:
    """Return a path as seen from where ``make`` was called."""
    return str(path).removeprefix(f"{Path.cwd()}/")
