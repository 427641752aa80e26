"""Editing a connection in the browser: untouched values stay, and no secret is shown."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system.airflow_server import IS_AIRFLOW_3, AirflowServer, listens, wait_for

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
    conn_id = f"crm_{uuid.uuid4().hex[:8]}"
    airflow.ask("add_connection", conn_id=conn_id, connection=CONNECTION)
    row = f"//tr[contains(., '{conn_id}')]"
    if IS_AIRFLOW_3:
        browser.get(f"{web_interface}/connections")
        click(browser, f"{row}//button[@aria-label='Edit Connection']")
        click(browser, "//button[.='Extra Fields']")
    else:
        browser.get(f"{web_interface}/connection/list/")
        click(browser, f"{row}//a[contains(@href, '/edit/')]")
    return conn_id


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
