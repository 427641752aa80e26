"""
Run Airflow with its web interface and a sandbox until Ctrl-C.

Its DAGs are those of the folder ``DAGS``, or the example DAGs.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

import psutil
import requests
from local import EXAMPLES, HOME, AirflowFailedError, airflow, environment, sandbox, shown, tail

from airflow_provider_bigin.cli.connections import EMPTY_FIELDS

IS_AIRFLOW_3 = not version("apache-airflow").startswith("2.")
# Not "airflow standalone", whose log servers listen on all interfaces. All logs are on this disk anyway.
COMPONENTS = {
    "scheduler": "scheduler --skip-serve-logs",
    "triggerer": "triggerer --skip-serve-logs",
    **(
        {"api-server": "api-server", "dag-processor": "dag-processor"}
        if IS_AIRFLOW_3
        else {"webserver": "webserver"}
    ),
}
HEALTH = "api/v2/monitor/health" if IS_AIRFLOW_3 else "health"
#: Creates a user and writes the password to a file, as "airflow standalone" does.
CREATE_AIRFLOW_2_USER = """
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
with get_application_builder() as builder:
    builder.sm.create_admin_standalone()
"""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS_TO_SEE_A_DAG = 5
SECONDS_TO_START = 180


def main() -> None:
    """Run everything until Ctrl-C, then stop it."""
    for number in STOP_SIGNALS:
        signal.signal(number, interrupt)
    HOME.mkdir(parents=True, exist_ok=True)
    components: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with sandbox(HOME / "inbox.db", free_port(8480)) as bigin:
            port = free_port(8080)
            env = configuration(port)
            print(f"Starting Airflow; its logs are in {shown(HOME)}", flush=True)
            prepare(bigin.connection, env)
            try:
                for name, command in COMPONENTS.items():
                    components[name] = start(command, log(name), env)
                wait_until_healthy(port, components)
                print(f"\n  Airflow    http://127.0.0.1:{port}   {login()}")
                print(f"  The inbox  {bigin.url}")
                print("\nThe connection is bigin_default. Press Ctrl-C to stop.", flush=True)
                while True:
                    exit_if_any_has_ended(components)
                    time.sleep(1)
            finally:
                stop(components.values())
    except AirflowFailedError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        print("\nStopped.")


def interrupt(*_: object) -> None:
    """
    Stop at a signal, and ignore any further ones.

    ``make`` forwards signals that its whole process group gets; a second one would interrupt the shutdown.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def free_port(wanted: int) -> int:
    """Return a port of 127.0.0.1: the wanted one, or another if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration(port: int) -> dict[str, str]:
    """Return the environment of an Airflow that listens only on one port of 127.0.0.1."""
    sections: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": Path(os.environ.get("DAGS") or EXAMPLES).resolve(),
            "parallelism": 4,
            "test_connection": "Enabled",
        },
        "database": {"sql_alchemy_conn": f"sqlite:///{HOME}/airflow.db?timeout=60"},
    }
    if IS_AIRFLOW_3:
        sections["core"]["execution_api_server_url"] = f"http://127.0.0.1:{port}/execution/"
        sections["api"] = {
            "host": "127.0.0.1",
            "port": port,
            "workers": 1,
            "base_url": f"http://127.0.0.1:{port}",
        }
        sections["dag_processor"] = {
            "refresh_interval": SECONDS_TO_SEE_A_DAG,
            "min_file_process_interval": SECONDS_TO_SEE_A_DAG,
        }
    else:
        sections["webserver"] = {
            "web_server_host": "127.0.0.1",
            "web_server_port": port,
            "workers": 1,
            "base_url": f"http://127.0.0.1:{port}",
        }
        sections["scheduler"] = {
            "dag_dir_list_interval": SECONDS_TO_SEE_A_DAG,
            "min_file_process_interval": SECONDS_TO_SEE_A_DAG,
        }
    return environment(
        **{
            f"AIRFLOW__{section}__{option}".upper(): str(value)
            for section, options in sections.items()
            for option, value in options.items()
        }
    )


def prepare(connection: str, env: Mapping[str, str]) -> None:
    """Create the database, add the connection to the sandbox, and create a user."""
    file = HOME / "connections.json"
    # The Test button of Airflow 3.3.2 answers "Bad Request" for a connection without a port.
    told = json.loads(connection)
    told |= {"port": 443, "extra": {**EMPTY_FIELDS, **told["extra"]}}
    file.write_text(json.dumps({"bigin_default": told}))
    for command in ("db migrate", f"connections import --overwrite {file}"):
        airflow(command, log("prepare"), env)
    if not IS_AIRFLOW_3:
        with log("user").open("wb") as output:
            subprocess.run(
                [sys.executable, "-c", CREATE_AIRFLOW_2_USER],
                env=env,
                stdout=output,
                stderr=output,
                check=True,
            )


def log(name: str) -> Path:
    """Return the file for a component's output."""
    return HOME / f"{name}.log"


def start(command: str, output: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start an Airflow command that the terminal's Ctrl-C does not reach."""
    with output.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "airflow", *command.split()],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def wait_until_healthy(port: int, components: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Wait until Airflow reports all its components as healthy."""
    end = time.monotonic() + SECONDS_TO_START
    while not is_healthy(port):
        exit_if_any_has_ended(components)
        if time.monotonic() > end:
            sys.exit(f"Airflow did not start within {SECONDS_TO_START} s; its logs are in {shown(HOME)}")
        time.sleep(1)


def is_healthy(port: int) -> bool:
    """Return whether Airflow reports all its components as healthy."""
    try:
        health = requests.get(f"http://127.0.0.1:{port}/{HEALTH}", timeout=5).json()
    except requests.RequestException:
        return False
    # In Airflow 2, the DAG processor is part of the scheduler and has no status.
    return all(component["status"] in ("healthy", None) for component in health.values())


def login() -> str:
    """Return the user and the password that Airflow generated."""
    if IS_AIRFLOW_3:
        users = json.loads((HOME / "simple_auth_manager_passwords.json.generated").read_text())
    else:
        users = {"admin": (HOME / "standalone_admin_password.txt").read_text().strip()}
    return ", ".join(f"user {user}, password {password}" for user, password in users.items())


def exit_if_any_has_ended(components: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Exit with the end of a component's log if the component has ended."""
    for name, process in components.items():
        if process.poll() is not None:
            sys.exit(f"{tail(log(name))}\n\nairflow {name} ended. The full log is in {shown(log(name))}")


def stop(components: Iterable[subprocess.Popen[bytes]]) -> None:
    """Stop processes and everything that they started."""
    processes = [psutil.Process(component.pid) for component in components if component.poll() is None]
    family = [*processes, *(child for process in processes for child in process.children(recursive=True))]
    for process in processes:
        process.terminate()
    for process in psutil.wait_procs(family, timeout=8)[1]:
        process.kill()


if __name__ == "__main__":
    main()
