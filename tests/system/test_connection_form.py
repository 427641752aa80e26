"""A connection in the browser: untouched values stay, no secret is shown, and the Test button works."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.sandbox_control import SandboxControl
from tests.system.airflow_server import AIRFLOW_VERSION, IS_AIRFLOW_3, AirflowServer, listens, wait_for

CONNECTION = {
    "conn_type": "bigin",
    "login": "1000.CLIENT",
    "password": "kept-client-secret",
    "extra": {
        "region": "eu",
        "refresh_token": "1000.kept-refresh",
        "access_token": "1000.kept-access",
        "timeout": "30",
    },
}


@pytest.fixture(scope="module")
def web_interface(airflow: AirflowServer) -> str:
    """Return the URL of Airflow's pages, which need no login."""
    if not IS_AIRFLOW_3:
        (airflow.home / "webserver_config.py").write_text('AUTH_ROLE_PUBLIC = "Admin"\n')
        airflow.start_component("webserver")
        wait_for("the webserver listens", lambda: listens(airflow.port), timeout=120)
    return f"http://127.0.0.1:{airflow.port}"


@pytest.fixture
def conn_id(airflow: AirflowServer, browser: webdriver.Chrome, web_interface: str) -> str:
    """Open a connection in the browser."""
    conn_id = add_connection(airflow, CONNECTION)
    if IS_AIRFLOW_3:
        click(browser, f"{row_of(browser, web_interface, conn_id)}//button[@aria-label='Edit Connection']")
        click(browser, "//button[.='Extra Fields']")
    else:
        click(browser, f"{row_of(browser, web_interface, conn_id)}//a[contains(@href, '/edit/')]")
    return conn_id


def add_connection(airflow: AirflowServer, connection: dict[str, Any]) -> str:
    """Store a connection and return its id."""
    conn_id = f"crm_{uuid.uuid4().hex[:8]}"
    airflow.ask("add_connection", conn_id=conn_id, connection=connection)
    return conn_id


def row_of(browser: webdriver.Chrome, web_interface: str, conn_id: str) -> str:
    """Open the list of connections and return the XPath of a connection's row."""
    if IS_AIRFLOW_3:
        browser.get(web_interface)  # before 3.2, a browser's first page logs in and leads here
        browser.find_element(By.XPATH, "//*[.='Admin']")
    browser.get(f"{web_interface}/{'connections' if IS_AIRFLOW_3 else 'connection/list/'}")
    return f"//tr[contains(., '{conn_id}')]"


def click(browser: webdriver.Chrome, xpath: str) -> None:
    """Click on an element that is or will be on the page."""
    browser.find_element(By.XPATH, xpath).click()


def fill(browser: webdriver.Chrome, field: str, text: str) -> None:
    """Replace the content of an extra field."""
    name = f"{'element_' if IS_AIRFLOW_3 else 'extra__bigin__'}{field}"
    browser.find_element(By.NAME, name).send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE, text)


def save(browser: webdriver.Chrome, airflow: AirflowServer, conn_id: str) -> dict[str, Any]:
    """Save the form with another timeout and return what is stored then."""
    fill(browser, "timeout", "45")
    click(browser, "//button[contains(., 'Save')]")

    def stored() -> dict[str, Any] | None:
        connection: dict[str, Any] = airflow.ask("stored_connection", conn_id=conn_id)
        return connection if connection["extra"].get("timeout") == "45" else None

    return wait_for("the form is saved", stored, timeout=30)


def test_editing_the_timeout_keeps_the_secrets(
    browser: webdriver.Chrome, airflow: AirflowServer, conn_id: str
) -> None:
    assert "kept-" not in browser.page_source
    stored = save(browser, airflow, conn_id)
    assert stored["password"] == "kept-client-secret"
    assert stored["extra"] == {**CONNECTION["extra"], "timeout": "45"}


def test_a_new_token_replaces_the_old_one(
    browser: webdriver.Chrome, airflow: AirflowServer, conn_id: str
) -> None:
    fill(browser, "refresh_token", "1000.new-refresh")
    stored = save(browser, airflow, conn_id)
    assert stored["extra"]["refresh_token"] == "1000.new-refresh"
    assert stored["extra"]["access_token"] == "1000.kept-access"


def test_an_emptied_token_is_cleared(browser: webdriver.Chrome, airflow: AirflowServer, conn_id: str) -> None:
    fill(browser, "access_token", "")
    stored = save(browser, airflow, conn_id)
    assert not stored["extra"].get("access_token")
    assert stored["extra"]["refresh_token"] == "1000.kept-refresh"


@pytest.mark.skipif((3, 0) <= AIRFLOW_VERSION < (3, 3), reason="the page shows no message, or no button")
def test_the_test_button(
    browser: webdriver.Chrome, airflow: AirflowServer, web_interface: str, sandbox: SandboxControl
) -> None:
    connection = sandbox.connection()
    extra = {**connection["extra"], "module": "Contacts", "record_id": "5000000000000000101"}
    # Airflow 3.3.2 refuses to test a connection without a port.
    stored = {**connection, "extra": extra, "host": "crm.example.com", "port": 443}
    row = row_of(browser, web_interface, add_connection(airflow, stored))
    if IS_AIRFLOW_3:
        click(browser, f"{row}//button[@aria-label='Test Connection']")
    else:
        click(browser, f"{row}//a[contains(@href, '/edit/')]")
        click(browser, "//button[contains(., 'Test')]")
        browser.find_element(By.XPATH, "//*[contains(text(), 'Enter the client secret and the tokens')]")
        browser.find_element(By.NAME, "password").send_keys(connection["password"])
        fill(browser, "refresh_token", connection["extra"]["refresh_token"])
        click(browser, "//button[contains(., 'Test')]")
    # Not the visible text: the message fades in.
    message = browser.find_element(By.XPATH, "//*[contains(text(), 'Connected to Bigin')]")
    text = str(message.get_attribute("textContent"))
    assert "as Ada Airflow of Airflow Sandbox. Mails come from Ada Airflow <ada@example.com>." in text
    assert "Their default record is Contacts 5000000000000000101." in text
    assert "The connection's host 'crm.example.com' is not used" in text
