"""A plain HTTP client of the sandbox, independent of this package's own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox_control import SandboxControl

ADA = "5000000000000000101"
GRACE = "5000000000000000102"
OPTED_OUT = "5000000000000000103"
WITHOUT_ADDRESS = "5000000000000000104"
COMPANY = "5000000000000000201"
DEAL = "5000000000000000301"
DEAL_WITHOUT_ADDRESS = "5000000000000000302"


def credentials(sandbox: SandboxControl) -> dict[str, str]:
    """Return the form that exchanges the connection's refresh token for an access token."""
    connection = sandbox.connection()
    return {
        "grant_type": "refresh_token",
        "client_id": connection["login"],
        "client_secret": connection["password"],
        "refresh_token": connection["extra"]["refresh_token"],
    }


class Client(requests.Session):
    """A client that calls Bigin's API with one access token."""

    def __init__(self, sandbox: SandboxControl) -> None:
        super().__init__()
        self.trust_env = False
        self.url = sandbox.url
        self.credentials = credentials(sandbox)
        self.timeout = 10.0
        self.log_in()

    def log_in(self) -> None:
        """Get a new access token."""
        token = self.post("/oauth/v2/token", data=self.credentials).json()["access_token"]
        self.headers["Authorization"] = f"Zoho-oauthtoken {token}"

    def request(self, method: str, url: str, **how: Any) -> requests.Response:  # type: ignore[override]
        """Call a path of the sandbox."""
        path = url if url.startswith(("/oauth", "/bigin")) else f"/bigin/v2{url}"
        return super().request(method, self.url + path, timeout=self.timeout, **how)

    def send_mail(self, record_id: str = ADA, module: str = "Contacts", **changes: Any) -> requests.Response:
        """Send a valid mail with some changes; fields set to ``...`` are left out."""
        mail = {
            "from": {"email": "ada@example.com"},
            "to": [{"user_name": "Ada Lovelace", "email": "ada.lovelace@example.org"}],
            "subject": "Hello",
            "content": "<p>Hello</p>",
            **changes,
        }
        mail = {name: value for name, value in mail.items() if value is not ...}
        return self.post(f"/{module}/{record_id}/actions/send_mail", json={"data": [mail]})

    def sent(self, record_id: str = ADA, **changes: Any) -> str:
        """Send a mail and return its id."""
        message_id: str = self.send_mail(record_id, **changes).json()["data"][0]["details"]["message_id"]
        return message_id

    def emails(self, record_id: str = ADA, module: str = "Contacts", **query: Any) -> requests.Response:
        """List a record's mails."""
        return self.get(f"/{module}/{record_id}/Emails", params=query)


@pytest.fixture
def bigin(sandbox: SandboxControl) -> Iterator[Client]:
    """Return a client with an access token."""
    with Client(sandbox) as client:
        yield client
