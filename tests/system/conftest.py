"""One running Airflow for all system tests, of whichever version is installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from selenium import webdriver

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AirflowServer

SWITCHES = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --no-proxy-server --window-size=1400,2000"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time that Airflow takes to start and to give up on a task."""
    for item in items:
        if isinstance(item, pytest.Function) and "airflow" in item.fixturenames:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def airflow(
    running_sandbox: SandboxControl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowServer]:
    """Run an Airflow with a connection to the sandbox."""
    environment = {
        "AIRFLOW_CONN_BIGIN_DEFAULT": json.dumps(running_sandbox.connection()),
        "AIRFLOW__EMAIL__EMAIL_BACKEND": "airflow_provider_bigin.utils.emailer.send_email",
    }
    server = AirflowServer(tmp_path_factory.mktemp("airflow"), environment)
    with server.running():
        yield server


@pytest.fixture
def sandbox(sandbox: SandboxControl, airflow: AirflowServer) -> SandboxControl:
    """
    Return a freshly reset sandbox, and delete Airflow's access token, which it does not know.

    Otherwise each test would start with a refused token, and after five the package requests no more.
    """
    shutil.rmtree(airflow.home / "bigin", ignore_errors=True)
    return sandbox


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Run a browser with a fresh profile."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("needs chromium and chromedriver (on Debian: apt install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for switch in (*SWITCHES.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(switch)
    with webdriver.Chrome(options, webdriver.ChromeService(chromedriver)) as browser:
        browser.implicitly_wait(30)
        yield browser


@pytest.fixture
def record_id(sandbox: SandboxControl) -> str:
    """Return the id of a new contact for each test."""
    (record_id,) = sandbox.add_contacts(1)
    return record_id


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Show Airflow's logs if a test fails."""
    report = yield
    if report.failed and (server := getattr(item, "funcargs", {}).get("airflow")):
        report.sections.append(("Airflow", server.log_tails()))
    return report
