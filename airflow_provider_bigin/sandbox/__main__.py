"""The command ``python -m airflow_provider_bigin.sandbox``."""

from __future__ import annotations

import argparse
import ipaddress
import json
import signal
import socket
import sqlite3
import sys

from airflow_provider_bigin.sandbox.app import LOOPBACK, create_app
from airflow_provider_bigin.sandbox.server import listen, server
from airflow_provider_bigin.sandbox.state import Sandbox


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_bigin.sandbox",
        description="Run a local Bigin with a web inbox.",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="any address other than loopback lets others in, with a login (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=8480, help="0 picks a free port (default: %(default)s)")
    parser.add_argument(
        "--db", metavar="FILE", default=":memory:", help="store everything in this SQLite file"
    )
    options = parser.parse_args(arguments)
    public = not _is_loopback(options.host)
    try:
        sandbox = Sandbox(options.db)
    except (sqlite3.Error, OSError) as error:
        parser.exit(1, f"cannot use {options.db}: {error}\n")
    try:
        sock = listen(options.host, options.port)
    except OSError as error:
        parser.exit(1, f"cannot listen on {options.host}:{options.port}: {error.strerror}\n")
    web = server(create_app(sandbox, (*LOOPBACK, options.host), public=public))
    # Once it is running, uvicorn handles signals itself and passes them on when it exits.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: setattr(web, "should_exit", True))
    url = f"http://{_name(options.host)}:{sock.getsockname()[1]}"
    if public:
        print(
            "Others can reach this sandbox over plain HTTP: anyone in between can read mails and passwords.\n"
            "The inbox and the control API require the connection's login and password.",
            file=sys.stderr,
        )
    print(f"Bigin sandbox  {url}/bigin/v2")
    print(f"Inbox          {url}/")
    connection = json.dumps(sandbox.connection(url))
    print(f"Connection     export AIRFLOW_CONN_BIGIN_DEFAULT='{connection}'", flush=True)
    web.run(sockets=[sock])


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Return the host as written in a URL; for a wildcard address, this machine's name."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - only compared
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    main()
