"""Zoho's own SDK (https://pypi.org/project/zohocrmsdk8-0/) as a client of the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.crm.api import Initializer
from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.util import CommonAPIHandler

from tests.sandbox_control import SandboxControl, sandbox_thread

SCOPES = ("send_mail.all.CREATE", "settings.ALL", "modules.ALL", "files.ALL", "users.READ", "org.READ")


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[SandboxControl]:
    """Run a sandbox for the whole test session."""
    with sandbox_thread() as control:
        yield control


@pytest.fixture
def sandbox(running_sandbox: SandboxControl) -> SandboxControl:
    """Return a freshly reset sandbox whose tokens have all the scopes that the SDK needs."""
    running_sandbox.reset()
    running_sandbox.settings(scopes=[f"ZohoBigin.{scope}" for scope in SCOPES])
    return running_sandbox


@pytest.fixture(autouse=True)
def sdk(sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Direct the SDK to the sandbox; as the CRM's SDK, it has other paths, but the rest is unchanged."""
    set_api_path = CommonAPIHandler.set_api_path
    monkeypatch.setattr(
        CommonAPIHandler,
        "set_api_path",
        lambda handler, path: set_api_path(handler, path.replace("/crm/v8/", "/bigin/v2/")),
    )
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    connection = sandbox.connection()
    token = OAuthToken(
        client_id=connection["login"],
        client_secret=connection["password"],
        refresh_token=connection["extra"]["refresh_token"],
    )
    environment = DataCenter.Environment(sandbox.url, f"{sandbox.url}/oauth/v2/token", sandbox.url)
    Initializer.initialize(
        environment, token, store=FileStore(str(tmp_path / "tokens")), resource_path=str(tmp_path)
    )
