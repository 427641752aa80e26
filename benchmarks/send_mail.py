"""
Compare the CPU time of the hook's ``send_mail`` with a bare ``requests.Session.post`` of the same body.

The two alternate within one run.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import time

import requests

from tests.sandbox_control import SandboxControl, sandbox_process

ADA = "5000000000000000101"
CONTENT = "<p>Your invoice is due.</p>" * 100


def main() -> None:
    logging.disable(logging.INFO)  # a bare session logs nothing
    """Print how much CPU time the hook uses compared with a bare POST."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=1000, help="of each kind")
    mails = parser.parse_args().mails
    with sandbox_process() as sandbox:
        ratio = measure(sandbox, mails)
    print(
        f"hook.send_mail uses {ratio:.2f} times the CPU time of a bare Session.post ({mails} mails of each)"
    )


def measure(sandbox: SandboxControl, mails: int) -> float:
    """Return the CPU time of the hook divided by that of a bare POST."""
    os.environ["AIRFLOW_CONN_BIGIN_DEFAULT"] = json.dumps(sandbox.connection())
    os.environ["AIRFLOW__BIGIN__TOKEN_CACHE"] = "none"
    from airflow_provider_bigin.hooks.bigin import BiginHook

    hook = BiginHook()
    mail = {
        "to": "ada.lovelace@example.org",
        "from_email": "ada@example.com",
        "subject": "Invoice",
        "content": CONTENT,
    }
    hook.send_mail(record_id=ADA, **mail)
    body = {"data": [hook.compose_mail(**mail).as_json()]}
    session = requests.Session()
    session.headers["Authorization"] = f"Zoho-oauthtoken {hook.get_conn()._tokens.get().value}"
    url = f"{sandbox.url}/bigin/v2/Contacts/{ADA}/actions/send_mail"

    def bare() -> None:
        session.post(url, json=body, timeout=30).json()

    def ours() -> None:
        hook.send_mail(record_id=ADA, **mail)

    spent = {bare: 0.0, ours: 0.0}
    for send in (bare, ours) * 20:
        send()
    for _ in range(mails):
        for send in (bare, ours):
            start = time.process_time()
            send()
            spent[send] += time.process_time() - start
    return spent[ours] / spent[bare]


if __name__ == "__main__":
    main()
