"""One Airflow on several hosts for all of these tests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.distributed.celery_server import CeleryServer
from tests.distributed.namespaces import SERVER_ADDRESS, make_network
from tests.distributed.outcome import Outcome
from tests.sandbox_control import SandboxControl, sandbox_thread
from tests.system.conftest import pytest_runtest_makereport, record_id  # noqa: F401

#: Seconds for a whole request to Bigin. A retry waits that long, and 75 s, for a mail to turn up.
REQUEST_TIMEOUT = 5

outcomes: list[Outcome] = []  # of all tests


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[SandboxControl]:
    """Run a sandbox that all hosts can reach."""
    make_network()
    with sandbox_thread(SERVER_ADDRESS, public=True) as control:
        yield control


@pytest.fixture(scope="session")
def airflow(running_sandbox: SandboxControl) -> Iterator[CeleryServer]:
    """Run an Airflow with two hosts for its tasks, and a connection to the sandbox."""
    connection = running_sandbox.connection()
    connection["extra"]["timeout"] = REQUEST_TIMEOUT
    environment = {
        "AIRFLOW_CONN_BIGIN_DEFAULT": json.dumps(connection),
        "AIRFLOW__BIGIN__SANDBOX_HOSTS": running_sandbox.url,
        "AIRFLOW__BIGIN__TOKEN_CACHE": "variable",
    }
    home = Path(os.environ["AIRFLOW_HOME"]) / "server"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    server = CeleryServer(home, environment)
    with server.running():
        yield server


@pytest.fixture
def sandbox(sandbox: SandboxControl, airflow: CeleryServer) -> SandboxControl:
    """Return a freshly reset sandbox, and delete Airflow's access token, which it does not know."""
    airflow.ask("delete_variables", prefix="airflow_provider_bigin_access_token")
    return sandbox


@pytest.fixture
def count() -> Callable[[Outcome], None]:
    """Return a function that counts an outcome, which has to be flawless."""

    def count(outcome: Outcome) -> None:
        outcomes.append(outcome)
        assert outcome.is_flawless, str(outcome)

    return count


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what became of the mails of all tests."""
    terminalreporter.write_line(str(sum(outcomes, Outcome())))
