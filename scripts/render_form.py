"""Render the connection form of Airflow 3 as shown in the docs, with headless Chromium."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from local import HOME, ROOT, airflow, environment
from selenium import webdriver
from selenium.webdriver.common.by import By

IMAGE = ROOT / "docs" / "images" / "connection-form.png"
SWITCHES = "--headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,2000"
FIELDS = {
    "connection_id": "bigin_default",
    "element_refresh_token": "a refresh token",
    "element_from_email": "Reports <reports@example.com>",
}


def main() -> None:
    """Fill in the form of a new connection and write the image."""
    HOME.mkdir(parents=True, exist_ok=True)
    with web_interface() as url, browser() as page:
        page.get(f"{url}/connections")
        click(page, "//button[contains(., 'Add Connection')]")
        page.find_element(By.XPATH, "//*[@role='dialog']//input[@role='combobox']").send_keys("Bigin")
        click(page, "//*[@role='option' and contains(., 'Bigin')]")
        click(page, "//button[.='Extra Fields']")
        for name, text in FIELDS.items():
            page.find_element(By.NAME, name).send_keys(text)
        page.execute_script("document.activeElement.blur()")
        page.find_element(By.XPATH, "//*[@role='dialog']").screenshot(str(IMAGE))


@contextlib.contextmanager
def web_interface() -> Iterator[str]:
    """Run Airflow's API server without a login until the context exits."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = environment(
        AIRFLOW__API__HOST="127.0.0.1",
        AIRFLOW__API__PORT=str(port),
        AIRFLOW__API__WORKERS="1",
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS="True",
        AIRFLOW__CORE__TEST_CONNECTION="Enabled",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{HOME}/airflow.db",
    )
    airflow("db migrate", HOME / "migrate.log", env)
    with (HOME / "api-server.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "airflow", "api-server"], env=env, stdout=log, stderr=log
        )
    while not listens(port):
        if server.poll() is not None:
            sys.exit(f"The API server ended; its log is {HOME}/api-server.log")
        time.sleep(0.5)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()


def listens(port: int) -> bool:
    """Return whether a server on this machine accepts connections."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def browser() -> Iterator[webdriver.Chrome]:
    """Open a browser that waits for elements that are not on the page yet."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for switch in SWITCHES.split():
        options.add_argument(switch)
    with webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver"))) as page:
        page.implicitly_wait(60)
        yield page


def click(page: webdriver.Chrome, xpath: str) -> None:
    """Click on an element that is or will be on the page."""
    page.find_element(By.XPATH, xpath).click()


if __name__ == "__main__":
    main()
