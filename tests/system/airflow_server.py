"""A whole Airflow for the tests: database, scheduler with LocalExecutor, triggerer, and what 3.x adds."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import psutil
import pytest

HERE = Path(__file__).parent
AIRFLOW_VERSION = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
IS_AIRFLOW_3 = AIRFLOW_VERSION >= (3, 0)

#: Seconds without a heartbeat after which the scheduler gives up on a task.
HEARTBEAT_TIMEOUT = 15

#: The job that each component registers in the database, by the command that starts it.
JOBS = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob"}
if IS_AIRFLOW_3:
    JOBS["dag-processor"] = "DagProcessorJob"

T = TypeVar("T")


def wait_for(what: str, attempt: Callable[[], T | None], timeout: float) -> T:
    """
    Call a function until its result is true and return that result.

    :param what: what is waited for, for the error text.
    :param timeout: the timeout, in seconds.
    :raises TimeoutError: if it does not become true in time.
    """
    end = time.monotonic() + timeout
    while not (result := attempt()):
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout:g} s: {what}")
        time.sleep(0.25)
    return result


def listens(port: int, address: str = "127.0.0.1") -> bool:
    """Return whether a server accepts connections, by default one on this machine's loopback address."""
    with socket.socket() as client:
        return client.connect_ex((address, port)) == 0


def processes_of(home: Path) -> list[psutil.Process]:
    """Return all processes of the Airflow with this home."""
    return [
        process
        for process in psutil.process_iter(["environ", "status"])
        if (process.info["environ"] or {}).get("AIRFLOW_HOME") == str(home)
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def kill_all(home: Path) -> None:
    """Kill every process of the Airflow with this home."""
    while processes := processes_of(home):
        _kill(processes)


class AirflowServer:
    """
    An Airflow in its own directory, with the DAGs beside this file.

    All its processes, and the tasks they start, inherit ``AIRFLOW_HOME``. By this they are found and stopped,
    including the orphans of killed workers.

    :param home: an empty directory for everything that this Airflow writes.
    :param environment: what else the tasks need: connections, configuration.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        self.home = home
        self.port = _free_port()
        self.environment = {**os.environ, **_configuration(home, self.port), **environment}
        self.components: dict[str, subprocess.Popen[bytes]] = {}
        self.runs: list[Run] = []

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run this Airflow for the tests; if it does not start, they fail with its logs."""
        try:
            self.start()
            yield
        except Exception as error:
            pytest.fail(f"Airflow does not start: {error}\n{self.log_tails()}")
        finally:
            self.stop()

    def start(self) -> None:
        """
        Create the database and start all components, each with its own log file.

        :raises RuntimeError: if one of them ends.
        :raises TimeoutError: if they do not all run in time.
        """
        self._airflow("db migrate").wait(timeout=120)
        if (sqlite_file := self.home / "airflow.db").exists():
            with contextlib.closing(sqlite3.connect(sqlite_file)) as database:
                database.execute("PRAGMA journal_mode=WAL")
        for component in (*JOBS, "api-server") if IS_AIRFLOW_3 else JOBS:
            self.start_component(component)
        self._start_agent()
        wait_for("all components run", self._is_complete, timeout=120)

    def _start_agent(self) -> None:
        answers, agents_end = os.pipe()
        with self._log("agent") as log:
            self.agent = subprocess.Popen(
                [sys.executable, HERE / "airflow_agent.py", str(agents_end)],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=[agents_end],
                text=True,
            )
        os.close(agents_end)
        self.answers = os.fdopen(answers)

    def _is_complete(self) -> bool:
        for name, process in self.components.items():
            if process.poll() is not None:
                raise RuntimeError(f"airflow {name} ended with {process.returncode}")
        return self.ask("running_jobs") == sorted(JOBS.values()) and (not IS_AIRFLOW_3 or listens(self.port))

    def start_component(self, name: str) -> None:
        """Start a component, by the name of its command."""
        # The log servers would listen on all interfaces; the tests read the files.
        options = " --skip-serve-logs" if name in ("scheduler", "triggerer") else ""
        self.components[name] = self._airflow(name + options)

    def _airflow(self, command: str) -> subprocess.Popen[bytes]:
        with self._log(command.split()[0]) as log:
            return subprocess.Popen(
                [sys.executable, "-m", "airflow", *command.split()],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _log(self, name: str) -> BinaryIO:
        return (self.home / f"{name}.log").open("ab")

    def kill_component(self, name: str) -> None:
        """Kill a component with its children, as the kernel does when memory runs out."""
        process = psutil.Process(self.components.pop(name).pid)
        _kill([process, *process.children(recursive=True)])

    def stop(self) -> None:
        """Kill every process of this Airflow, because nothing of it is needed again."""
        kill_all(self.home)

    def ask(self, function: str, **arguments: Any) -> Any:
        """
        Call a function of :mod:`airflow_agent`.

        :raises RuntimeError: with the text of what the function raised.
        """
        assert self.agent.stdin
        print(json.dumps([function, arguments]), file=self.agent.stdin, flush=True)
        answer = json.loads(self.answers.readline() or '{"error": "the agent has ended"}')
        if "error" in answer:
            raise RuntimeError(f"{function}: {answer['error']}")
        return answer["result"]

    def trigger(self, dag_id: str, **conf: Any) -> Run:
        """
        Start a run of a DAG, as soon as its file is parsed.

        :param conf: configuration of the run.
        """
        wait_for(f"DAG {dag_id} is parsed", lambda: self._has_dag(dag_id), timeout=60)
        run = Run(self, dag_id, f"test-{uuid.uuid4().hex[:8]}")
        self.runs.append(run)
        run.ask("trigger", conf=conf)
        return run

    def _has_dag(self, dag_id: str) -> bool:
        if self.ask("has_dag", dag_id=dag_id):
            return True
        if errors := self.ask("import_errors"):
            raise RuntimeError("\n".join(errors))
        return False

    def log_tails(self) -> str:
        """Return the end of each component's log and of some task logs of the latest run."""
        paths = [*self.home.glob("*.log"), *(self.runs[-1].log_files()[-4:] if self.runs else ())]
        return "\n".join(f"\n{path}\n{_tail(path)}" for path in paths)


@dataclass(frozen=True)
class Run:
    """One run of a DAG."""

    server: AirflowServer
    dag_id: str
    run_id: str

    def ask(self, function: str, **arguments: Any) -> Any:
        """Call a function of :mod:`airflow_agent` for this run."""
        return self.server.ask(function, dag_id=self.dag_id, run_id=self.run_id, **arguments)

    def wait(self, timeout: float = 90) -> str:
        """Wait until the run has ended and return its state."""

        def final_state() -> str | None:
            state: str = self.ask("run_state")
            return state if state in ("success", "failed") else None

        return wait_for(f"{self} ends", final_state, timeout)

    def wait_for_task(self, task_id: str, state: str, timeout: float = 60) -> dict[str, Any]:
        """Wait until a task is in a state and return the task instance."""

        def instance() -> dict[str, Any] | None:
            found = self.task(task_id)
            return found if found["state"] == state else None

        return wait_for(f"task {task_id} of {self} is {state}", instance, timeout)

    def wait_until_put_off(self, task_id: str, times: int = 1) -> None:
        """
        Wait until all instances of a task are rescheduled and the scheduler has noticed.

        If they ran again before, which real waits of a minute or more do not do, it would take the end of the
        last run for theirs.

        :param times: how often each has been rescheduled.
        """

        def is_put_off() -> bool:
            instances = self.tasks(task_id)
            lines = (self.server.home / "scheduler.log").read_text().splitlines()
            noticed = sum(self.run_id in line and "state=up_for_reschedule" in line for line in lines)
            is_waiting = {instance["state"] for instance in instances} == {"up_for_reschedule"}
            return is_waiting and noticed == times * len(instances)

        wait_for(f"the tasks of {self} are put off", is_put_off, timeout=90)

    def task(self, task_id: str) -> dict[str, Any]:
        """Return a task instance as a dict: state, try_number, max_tries, pid."""
        (instance,) = self.tasks(task_id)
        return instance

    def tasks(self, task_id: str) -> list[dict[str, Any]]:
        """Return the instances of a mapped task."""
        return [instance for instance in self.ask("task_instances") if instance["task_id"] == task_id]

    def process(self, task_id: str) -> psutil.Process:
        """Return the process of a running task; its parent is the supervisor that sends heartbeats."""

        def pid() -> int | None:  # which Airflow 2 knows only some time after the state
            found = self.task(task_id)
            return found["pid"] if found["state"] == "running" else None

        return psutil.Process(wait_for(f"task {task_id} of {self} has a process", pid, timeout=60))

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return what a task has pushed, or None."""
        return self.ask("xcom", task_id=task_id, key=key, map_index=map_index)

    def clear(self, task_id: str) -> None:
        """Clear a task, as with the button in the web interface."""
        self.ask("clear", task_id=task_id)

    def log(self, task_id: str, try_number: int | None = None) -> str:
        """Return the log of one try of a task, or of all its tries."""
        wanted = f"attempt={try_number}." if try_number else "attempt="
        return "\n".join(
            path.read_text()
            for path in self.log_files()
            if f"/task_id={task_id}/" in str(path) and path.name.startswith(wanted)
        )

    def log_files(self) -> list[Path]:
        """Return the log files of all tries of all tasks."""
        folder = self.server.home / "logs" / f"dag_id={self.dag_id}" / f"run_id={self.run_id}"
        return sorted(folder.rglob("attempt=*"))

    def __str__(self) -> str:
        return f"run {self.run_id} of {self.dag_id}"


def _configuration(home: Path, port: int) -> dict[str, str]:
    options: dict[str, dict[str, object]] = {
        "core": {
            "dags_folder": HERE / "dags",
            "executor": "LocalExecutor",
            "parallelism": 16,
            "max_active_tasks_per_dag": 256,
            "load_examples": False,
            "dags_are_paused_at_creation": False,
            "test_connection": "Enabled",
        },
        # Many processes write to the file, so they wait for each other instead of failing.
        "database": {"sql_alchemy_conn": f"sqlite:///{home}/airflow.db?timeout=60"},
        "scheduler": {"scheduler_idle_sleep_time": 0.5, "job_heartbeat_sec": 2},
        "triggerer": {"job_heartbeat_sec": 2},
    }
    if IS_AIRFLOW_3:
        options["core"]["execution_api_server_url"] = f"http://127.0.0.1:{port}/execution/"
        options["scheduler"]["task_instance_heartbeat_timeout"] = HEARTBEAT_TIMEOUT
        options["scheduler"]["task_instance_heartbeat_timeout_detection_interval"] = 2
        options["workers"] = {"min_heartbeat_interval": 2}
        options["api"] = {"host": "127.0.0.1", "port": port, "workers": 1}
        options["core"]["simple_auth_manager_all_admins"] = True
        # All components need the same secret, whatever order they start in.
        options["api_auth"] = {
            "jwt_secret": "a secret of at least 64 bytes, as Airflow's HS512 signatures want it",
            "jwt_issuer": "system tests",  # PyJWT takes no None, which Airflow 3.0 passes if it is not set
        }
    else:
        options["scheduler"]["scheduler_zombie_task_threshold"] = HEARTBEAT_TIMEOUT
        options["scheduler"]["zombie_detection_interval"] = 2
        options["webserver"] = {"web_server_host": "127.0.0.1", "web_server_port": port, "workers": 1}
    return {
        "AIRFLOW_HOME": str(home),
        # Airflow 2 refuses SQLite with the LocalExecutor for its locks, which the timeout above deals with.
        "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
        # Process titles would otherwise overwrite the environment by which processes are found.
        "SPT_NOENV": "1",
        **{
            f"AIRFLOW__{section}__{option}".upper(): str(value)
            for section, values in options.items()
            for option, value in values.items()
        },
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=5)


def _tail(path: Path) -> str:
    return "\n".join(line[:1000] for line in path.read_text(errors="replace").splitlines()[-25:])
