"""An Airflow with CeleryExecutor, PostgreSQL, Redis, and two hosts for its workers."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import redis
from cryptography.fernet import Fernet

from tests.distributed.namespaces import SERVER_ADDRESS, Host, as_user, has_user_namespaces
from tests.system.airflow_server import AirflowServer, listens, wait_for

#: Debian does not put PostgreSQL's own programs on the path.
POSTGRES_PATH = os.pathsep.join(
    [*map(str, Path("/usr/lib/postgresql").glob("*/bin")), os.environ.get("PATH", os.defpath)]
)
POSTGRES_PORT = 5432
REDIS_PORT = 6379
#: The uid of each host's worker.
HOST_USERS = {"host-a": 50001, "host-b": 50002}
#: Seconds after which Redis delivers the message of a task that has not ended once more: longer than a retry
#: looks for a mail.
VISIBILITY_TIMEOUT = 120
#: Seconds after which the scheduler no longer waits for a worker to take a task.
QUEUE_TIMEOUT = 30


class CeleryServer(AirflowServer):
    """
    An Airflow whose tasks run on two hosts.

    :param home: an empty directory for everything that this Airflow writes; all hosts log there.
    :param environment: what else the tasks need: connections, configuration.
    """

    def __init__(self, home: Path, environment: Mapping[str, str]) -> None:
        super().__init__(home, environment)
        self.environment.update(_configuration(home, self.port))
        self.services: dict[str, subprocess.Popen[bytes]] = {}
        self.hosts = [
            self._host(name, number, uid) for number, (name, uid) in enumerate(HOST_USERS.items(), start=2)
        ]
        self.broker = redis.Redis(SERVER_ADDRESS, REDIS_PORT)

    def _host(self, name: str, number: int, uid: int) -> Host:
        home = self.home / name
        # Root may be the only one who can read the interpreter.
        user = as_user(uid) if has_user_namespaces() else []
        options = ["--concurrency", "6", "--skip-serve-logs", "--without-gossip", "--without-mingle"]
        return Host(
            name,
            number,
            [*user, sys.executable, "-m", "airflow", "celery", "worker", *options],
            {**self.environment, "AIRFLOW_HOME": str(home), "HOME": str(home), "USER": name},
            self.home / f"{name}.log",
        )

    def start(self) -> None:
        """Start everything; errors as for any Airflow server."""
        self.start_postgres()
        self.start_redis()
        super().start()
        for host in self.hosts:
            host.start()

    def start_postgres(self) -> None:
        """Start PostgreSQL, after it has made its files if there are none."""
        data = Path("/tmp/postgres")
        # It refuses to run as root, or as somebody unknown.
        uid = pwd.getpwnam("postgres").pw_uid
        user = as_user(uid) if has_user_namespaces() else ["setpriv", f"--reuid={uid}", "--clear-groups"]
        environment = {**os.environ, "PATH": POSTGRES_PATH}
        if not data.exists():
            initdb = [*user, "initdb", "--pgdata", data, "--username=airflow", "--auth=trust", "--no-sync"]
            subprocess.run(initdb, env=environment, check=True, stdout=subprocess.DEVNULL)
            with (data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all 10.77.0.0/24 trust\n")
        options = {
            "listen_addresses": SERVER_ADDRESS,
            "port": POSTGRES_PORT,
            "unix_socket_directories": "/tmp",
            "max_connections": 300,
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._start_service("postgres", [*user, "postgres", "-D", str(data), *settings], POSTGRES_PORT)

    def start_redis(self) -> None:
        """Start Redis, which keeps its data in a file."""
        options = f"--bind {SERVER_ADDRESS} --port {REDIS_PORT} --protected-mode no --save --dir /tmp"
        durable = "--appendonly yes --appendfsync always"
        self._start_service("redis-server", ["redis-server", *options.split(), *durable.split()], REDIS_PORT)

    def _start_service(self, name: str, command: list[str], port: int) -> None:
        with self._log(name) as log:
            self.services[name] = subprocess.Popen(
                command,
                env={**os.environ, "PATH": POSTGRES_PATH},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_for(f"{name} runs", lambda: listens(port, SERVER_ADDRESS), timeout=60)

    def kill_service(self, name: str) -> None:
        """Stop PostgreSQL or Redis at once, as in a crash."""
        process = self.services.pop(name)
        process.send_signal(signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
        process.wait()

    def recover(self) -> None:
        """Start the components again that have ended, as a process supervisor does, until all of them run."""
        wait_for("all components run again", self._is_recovered, timeout=120)

    def _is_recovered(self) -> bool:
        for name, process in [*self.components.items()]:
            if process.poll() is not None:
                self.start_component(name)
        return self._is_complete()


def _configuration(home: Path, port: int) -> dict[str, str]:
    database = f"airflow@{SERVER_ADDRESS}:{POSTGRES_PORT}/postgres"
    options: dict[str, dict[str, object]] = {
        "core": {
            "executor": "CeleryExecutor",
            # More than the workers can run: tasks that died with a host count until Celery forgets them.
            "parallelism": 64,
            "execution_api_server_url": f"http://{SERVER_ADDRESS}:{port}/execution/",
            "fernet_key": Fernet.generate_key().decode(),
            # The default asks a name server, which these hosts do not have.
            "hostname_callable": "socket.gethostname",
        },
        "api": {"host": "0.0.0.0"},  # noqa: S104 - in the network namespace of the tests
        "database": {"sql_alchemy_conn": f"postgresql+psycopg2://{database}"},
        "celery": {
            "broker_url": f"redis://{SERVER_ADDRESS}:{REDIS_PORT}/0",
            "result_backend": f"db+postgresql+psycopg2://{database}",
            "worker_prefetch_multiplier": 1,
        },
        "celery_broker_transport_options": {"visibility_timeout": VISIBILITY_TIMEOUT},
        "logging": {"base_log_folder": home / "logs"},
        "scheduler": {
            "task_queued_timeout": QUEUE_TIMEOUT,
            "task_queued_timeout_check_interval": 5,
            # After that many, the scheduler fails a task without a retry.
            "num_stuck_in_queued_retries": 100,
            "orphaned_tasks_check_interval": 15,
            "scheduler_health_check_threshold": 15,
        },
    }
    return {
        "C_FORCE_ROOT": "1",  # Celery would refuse to run as root
        **{
            f"AIRFLOW__{section}__{option}".upper(): str(value)
            for section, values in options.items()
            for option, value in values.items()
        },
    }
