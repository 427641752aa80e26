"""``python -m airflow_provider_bigin.sandbox``."""

from __future__ import annotations

import argparse
import ipaddress
import json
import signal
import sqlite3
from typing import Any

from airflow_provider_bigin.sandbox import seed
from airflow_provider_bigin.sandbox.app import create_app
from airflow_provider_bigin.sandbox.server import listen, server


def connection(url: str) -> dict[str, Any]:
    """Return the Airflow connection to a sandbox, in the JSON form of ``AIRFLOW_CONN_...`` variables.

    :param url: where the sandbox listens.
    """
    return {
        "conn_type": "bigin",
        "login": seed.CLIENT_ID,
        "password": seed.CLIENT_SECRET,
        "extra": {"refresh_token": seed.REFRESH_TOKEN, "accounts_server": url, "api_domain": url},
    }


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_bigin.sandbox",
        description="A local Bigin, with an inbox to look at.",
    )
    parser.add_argument(
        "--host", type=_loopback, default="127.0.0.1", help="a loopback address (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=8480, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--db", metavar="FILE", default=":memory:", help="keep everything in this SQLite file"
    )
    options = parser.parse_args(arguments)
    try:
        web = server(create_app(options.db))
    except sqlite3.Error as error:
        parser.exit(1, f"cannot use {options.db}: {error}\n")
    try:
        sock = listen(options.host, options.port)
    except OSError as error:
        parser.exit(1, f"cannot listen on {options.host}:{options.port}: {error.strerror}\n")
    # uvicorn handles signals once it runs, and passes them on when it ends.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: setattr(web, "should_exit", True))
    host = f"[{options.host}]" if ":" in options.host else options.host
    url = f"http://{host}:{sock.getsockname()[1]}"
    print(f"Bigin sandbox  {url}/bigin/v2")
    print(f"Inbox          {url}/")
    print(f"Connection     export AIRFLOW_CONN_BIGIN_DEFAULT='{json.dumps(connection(url))}'", flush=True)
    web.run(sockets=[sock])


def _loopback(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        if ipaddress.ip_address(host).is_loopback:
            return host
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(
        f"{host!r} is not a loopback address; the sandbox has no passwords worth the name"
    )


if __name__ == "__main__":
    main()
