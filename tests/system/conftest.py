"""One running Airflow for all system tests, on whatever Airflow is installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator
from typing import Any

import pytest

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AirflowServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time that Airflow takes to start and to give up a task."""
    for item in items:
        if isinstance(item, pytest.Function) and "airflow" in item.fixturenames:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def airflow(
    running_sandbox: SandboxControl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowServer]:
    """A running Airflow with a connection to the sandbox."""
    environment = {
        "AIRFLOW_CONN_BIGIN_DEFAULT": json.dumps(running_sandbox.connection()),
        "AIRFLOW__EMAIL__EMAIL_BACKEND": "airflow_provider_bigin.utils.emailer.send_email",
    }
    server = AirflowServer(tmp_path_factory.mktemp("airflow"), environment)
    try:
        server.start()
        yield server
    except Exception as error:
        pytest.fail(f"Airflow does not start: {error}\n{server.log_tails()}")
    finally:
        server.stop()


@pytest.fixture
def sandbox(sandbox: SandboxControl, airflow: AirflowServer) -> SandboxControl:
    """
    A sandbox as new. It does not know the access token that Airflow has kept, so that is thrown away too.

    Otherwise each test would begin with a refused token, and after five the package asks for no more.
    """
    shutil.rmtree(airflow.home / "bigin", ignore_errors=True)
    return sandbox


@pytest.fixture
def record_id(sandbox: SandboxControl) -> str:
    """A contact of its own for each test."""
    (record_id,) = sandbox.add_contacts(1)
    return record_id


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show Airflow's logs with a test that fails."""
    report = yield
    if report.failed and (server := getattr(item, "funcargs", {}).get("airflow")):
        report.sections.append(("Airflow", server.log_tails()))
    return report
