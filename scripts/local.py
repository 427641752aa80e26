"""A sandbox and a separate Airflow, for ``make demo`` and ``make ui``."""

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
#: Set by the Makefile, to a different directory for each target.
HOME = Path(os.environ["AIRFLOW_HOME"])


@dataclass(frozen=True)
class Sandbox:
    """
    A running sandbox.

    :param url: the URL of its inbox.
    :param connection: the Airflow connection to it, as JSON.
    """

    url: str
    connection: str


@contextlib.contextmanager
def sandbox(database: Path, port: int = 0) -> Iterator[Sandbox]:
    """
    Run a sandbox until the context exits.

    :param database: the file for its data.
    :param port: the port; 0 picks a free one.
    """
    command = [*sandbox_command(database), "--port", str(port)]
    # In its own session, so that Ctrl-C does not stop it before the tasks that use it.
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
            process.wait()  # at Ctrl-C, the context manager waits only a moment


def sandbox_command(database: Path) -> list[str]:
    """Return the command that runs a sandbox with a database file."""
    return [sys.executable, "-m", "airflow_provider_bigin.sandbox", "--db", str(database)]


def environment(**variables: str) -> dict[str, str]:
    """Return the environment for Airflow's commands, which start each other by name."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        **variables,
    }


class AirflowFailedError(Exception):
    """An Airflow command failed; the message includes the end of its output."""

    def __init__(self, command: str, log: Path) -> None:
        super().__init__(f"{tail(log)}\n\nairflow {command} failed. The full log is in {shown(log)}")


def airflow(command: str, log: Path, env: Mapping[str, str], seconds: float = 180) -> None:
    """
    Run an Airflow command and write its output to a file.

    :param command: what follows ``airflow``.
    :param log: the file for its output.
    :param env: see :func:`environment`.
    :param seconds: the timeout.
    :raises AirflowFailedError: if it fails or times out.
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
    """Return a path relative to the directory in which ``make`` was run."""
    return str(path).removeprefix(f"{Path.cwd()}/")
