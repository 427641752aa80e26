"""The sandbox as a command-line program."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import uvicorn

from airflow_provider_bigin.sandbox import __main__
from airflow_provider_bigin.sandbox.server import listen
from tests.sandbox.conftest import ADA, Client
from tests.sandbox_control import sandbox_process

PROGRAM = [sys.executable, "-m", "airflow_provider_bigin.sandbox"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_says_how_to_reach_it_and_ends_when_told(stop):
    with subprocess.Popen(
        [*PROGRAM, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        url = lines[1].split()[1].rstrip("/")
        connection = json.loads(lines[2].split("AIRFLOW_CONN_BIGIN_DEFAULT=")[1].strip().strip("'"))
        # Still unanswered when the sandbox is told to stop, which must not keep it running.
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))):
            process.send_signal(stop)
            rest, errors = process.communicate(timeout=20)
    assert lines[0].split()[-1] == f"{url}/bigin/v2"
    assert len(connection["password"]) == len(connection["extra"].pop("refresh_token")) - 28 == 42
    assert connection | {"password": ""} == {
        "conn_type": "bigin",
        "login": "1000.SANDBOXCLIENT",
        "password": "",
        "extra": {"accounts_server": url, "api_domain": url},
    }
    assert (rest, errors) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "bigin.example"])  # noqa: S104 - never bound
def test_whoever_lets_others_reach_it_is_warned_and_gets_a_login(monkeypatch, capsys, host):
    run, statuses = uvicorn.Server.run, []

    def serve_one_request(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
        thread = threading.Thread(target=run, args=(server, sockets))
        thread.start()
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/sandbox/mails"
        statuses.append(requests.get(url, timeout=10).status_code)
        server.should_exit = True
        thread.join()

    monkeypatch.setattr(__main__, "listen", lambda host, port: listen("127.0.0.1", 0))
    monkeypatch.setattr(uvicorn.Server, "run", serve_one_request)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    __main__.main(["--host", host])
    assert statuses == [401]
    assert "plain HTTP" in capsys.readouterr().err


def test_a_port_that_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run([*PROGRAM, "--port", str(port)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert result.stderr.startswith(f"cannot listen on 127.0.0.1:{port}: ")


def test_a_file_that_is_no_database(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("Buy milk. " * 100)
    result = subprocess.run([*PROGRAM, "--db", str(file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert result.stderr.startswith(f"cannot use {file}: ")
    assert file.read_text().startswith("Buy milk.")


def test_a_file_outlives_the_process(tmp_path):
    database = tmp_path / "bigin.db"
    with sandbox_process(database) as control, Client(control) as bigin:
        message_id = bigin.sent()
        control.set_status(message_id, "opened")
        control.settings(emails_key="data")
        control.advance(600)
        [contact] = control.add_contacts(1)
        token = bigin.headers["Authorization"]
        connection = control.connection()
        now = control.now()
    with sandbox_process(database) as control:
        [mail] = control.mails()
        assert (mail["message_id"], mail["state"]) == (message_id, "opened")
        assert control.now() > now
        again = control.connection()
        assert again["password"] == connection["password"]
        assert again["extra"]["refresh_token"] == connection["extra"]["refresh_token"]
        headers = {"Authorization": token}
        answer = requests.get(f"{control.url}/bigin/v2/Contacts/{ADA}/Emails", headers=headers, timeout=10)
        assert answer.json()["data"][0]["message_id"] == message_id
        answer = requests.get(f"{control.url}/bigin/v2/Contacts/{contact}", headers=headers, timeout=10)
        assert answer.status_code == 200


def test_only_its_owner_can_read_the_file(tmp_path):
    database = tmp_path / "bigin.db"
    umask = os.umask(0)
    try:
        with sandbox_process(database) as control:
            control.add_contacts(1)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(umask)
    assert modes == dict.fromkeys(("bigin.db", "bigin.db-wal", "bigin.db-shm"), 0o600)


def test_a_file_in_no_directory(tmp_path):
    file = tmp_path / "missing" / "bigin.db"
    result = subprocess.run([*PROGRAM, "--db", str(file)], capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert result.stderr.startswith(f"cannot use {file}: ")


def test_many_clients_at_once():
    with sandbox_process() as control, Client(control) as bigin:
        ids = control.add_contacts(100)
        local = threading.local()

        def send(record_id: str) -> int:
            if not hasattr(local, "session"):
                local.session = requests.Session()
            body = {"data": [{"from": {"email": "ada@example.com"}, "to": [{"email": "a@example.org"}]}]}
            url = f"{control.url}/bigin/v2/Contacts/{record_id}/actions/send_mail"
            return local.session.post(url, json=body, headers=bigin.headers, timeout=30).status_code

        with ThreadPoolExecutor(100) as threads:
            assert set(threads.map(send, ids * 5)) == {200}
        assert control.mail_counts() == dict.fromkeys(ids, 5)
