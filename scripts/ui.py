"""Runs Airflow 3 with its web interface, the example DAGs and a sandbox, until Ctrl-C."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil
import requests
from local import HOME, AirflowFailedError, airflow, environment, sandbox, shown, tail

# Not "airflow standalone", whose log servers listen to the network. Here all logs are on this disk anyway.
COMPONENTS = {
    "api-server": "api-server",
    "scheduler": "scheduler --skip-serve-logs",
    "dag-processor": "dag-processor",
    "triggerer": "triggerer --skip-serve-logs",
}
SECONDS_TO_START = 180


def main() -> None:
    """Run everything, and end everything."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    HOME.mkdir(parents=True, exist_ok=True)
    components: dict[str, subprocess.Popen[bytes]] = {}
    try:
        with sandbox(HOME / "inbox.db", free_port(8480)) as bigin:
            port = free_port(8080)
            env = configuration(port)
            print(f"Airflow starts; its logs are in {shown(HOME)}", flush=True)
            prepare(bigin.connection, env)
            try:
                for name, command in COMPONENTS.items():
                    components[name] = start(command, log(name), env)
                wait_until_healthy(port, components)
                print(f"\n  Airflow    http://127.0.0.1:{port}   {login()}")
                print(f"  The inbox  {bigin.url}")
                print("\nThe connection is bigin_default. Ctrl-C ends it all.", flush=True)
                while True:
                    complain_about_the_dead(components)
                    time.sleep(1)
            finally:
                stop(components.values())
    except AirflowFailedError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        print("\nEnded.")


def free_port(wanted: int) -> int:
    """Return a port of 127.0.0.1: the one wanted, or another if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def configuration(port: int) -> dict[str, str]:
    """Return the environment of an Airflow that listens on one port of 127.0.0.1 only."""
    return environment(
        AIRFLOW__API__HOST="127.0.0.1",
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__API__BASE_URL=f"http://127.0.0.1:{port}",
        AIRFLOW__CORE__EXECUTION_API_SERVER_URL=f"http://127.0.0.1:{port}/execution/",
        AIRFLOW__CORE__PARALLELISM="4",
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db?timeout=60",
    )


def prepare(connection: str, env: Mapping[str, str]) -> None:
    """Create the database and put the connection to the sandbox into it."""
    file = HOME / "connections.json"
    file.write_text(json.dumps({"bigin_default": json.loads(connection)}))
    for command in ("db migrate", f"connections import --overwrite {file}"):
        airflow(command, log("prepare"), env)


def log(name: str) -> Path:
    """Return the file for a component's output."""
    return HOME / f"{name}.log"


def start(command: str, output: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a command of Airflow, out of reach of the terminal's Ctrl-C."""
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
    """Return when Airflow calls all its components healthy."""
    end = time.monotonic() + SECONDS_TO_START
    while not is_healthy(port):
        complain_about_the_dead(components)
        if time.monotonic() > end:
            sys.exit(f"Airflow did not start within {SECONDS_TO_START} s; its logs are in {shown(HOME)}")
        time.sleep(1)


def is_healthy(port: int) -> bool:
    """Return whether Airflow calls all its components healthy."""
    try:
        health = requests.get(f"http://127.0.0.1:{port}/api/v2/monitor/health", timeout=5).json()
    except requests.RequestException:
        return False
    return all(component["status"] == "healthy" for component in health.values())


def login() -> str:
    """Return the user and the password that Airflow made up."""
    passwords = json.loads((HOME / "simple_auth_manager_passwords.json.generated").read_text())
    return ", ".join(f"user {user}, password {password}" for user, password in passwords.items())


def complain_about_the_dead(components: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """Exit with a component's last words if one has ended."""
    for name, process in components.items():
        if process.poll() is not None:
            sys.exit(f"{tail(log(name))}\n\nairflow {name} ended. The whole log is in {shown(log(name))}")


def stop(components: Iterable[subprocess.Popen[bytes]]) -> None:
    """End processes and all that they started."""
    processes = [psutil.Process(component.pid) for component in components if component.poll() is None]
    family = [*processes, *(child for process in processes for child in process.children(recursive=True))]
    for process in processes:
        process.terminate()
    for process in psutil.wait_procs(family, timeout=8)[1]:
        process.kill()


if __name__ == "__main__":
    main()
