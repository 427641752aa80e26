"""``python -m airflow_provider_bigin.sandbox``."""

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
        description="A local Bigin, with an inbox to look at.",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="anything but a loopback address lets others in, with a login (default: %(default)s)",
    )
    parser.add_argument("--port", type=int, default=8480, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--db", metavar="FILE", default=":memory:", help="keep everything in this SQLite file"
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
    # uvicorn handles signals once it runs, and passes them on when it ends.
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, lambda *_: setattr(web, "should_exit", True))
    url = f"http://{_name(options.host)}:{sock.getsockname()[1]}"
    if public:
        print(
            "Others can reach this sandbox, over plain HTTP: who is on the way reads mails and passwords.\n"
            "Inbox and control API ask for login and password of the connection.",
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
    """Return what to call the host in a URL; of all addresses, this machine's name."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - only compared
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    main()
