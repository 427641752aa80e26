"""Hosts made of Linux namespaces, on one network."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import psutil

BRIDGE = "hosts"
#: The address of the host that runs the tests and everything but the workers.
SERVER_ADDRESS = "10.77.0.1"
#: Options of ``unshare`` for namespaces that end with it.
NAMESPACES = ["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]


def make_network() -> None:
    """Create the network, in the network namespace of the tests."""
    _run("ip link set lo up")
    _run(f"ip link add {BRIDGE} type bridge")
    _run(f"ip addr add {SERVER_ADDRESS}/24 dev {BRIDGE}")
    _run(f"ip link set {BRIDGE} up")


@cache
def has_user_namespaces() -> bool:
    """Return whether processes can be given another user without root, and without files of their own."""
    return not subprocess.run([*as_user(1), "true"], capture_output=True, check=False).returncode


def as_user(uid: int) -> list[str]:
    """Return what to put before a command to run it as another user, in the eyes of the command itself."""
    return ["unshare", "--user", f"--map-user={uid}", f"--map-group={uid}"]


class Host:
    """
    A machine with its own name, address, user, processes and ``/tmp``, which can lose power or freeze.

    :param name: the hostname.
    :param number: the last number of its address, 2 to 254.
    :param command: what runs on it.
    :param environment: the command's environment.
    :param log: file for the output.
    """

    def __init__(
        self, name: str, number: int, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self.address = f"10.77.0.{number}"
        self._command = command
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Switch it on."""
        init = [sys.executable, str(Path(__file__).with_name("host_init.py"))]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                ["unshare", *NAMESPACES, *init, self.name, *self._command],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdout.readline()
        self._connect(self._process.pid)
        self._process.stdin.write("connected\n")
        self._process.stdin.close()

    def _connect(self, pid: int) -> None:
        # The cable of a host that was killed goes away a moment later than the host.
        subprocess.run(["ip", "link", "del", self.name], capture_output=True, check=False)
        _run(f"ip link add {self.name} type veth peer name eth0 netns {pid}")
        _run(f"ip link set {self.name} master {BRIDGE} up")
        for command in ("link set lo up", f"addr add {self.address}/24 dev eth0", "link set eth0 up"):
            _run(f"nsenter --target {pid} --net ip {command}")

    def kill(self) -> None:
        """Cut the power: all processes end at once."""
        assert self._process
        processes = self.processes()
        self._process.kill()  # and the kernel kills the rest of the namespace
        self._process.wait()
        psutil.wait_procs(processes, timeout=30)

    def freeze(self) -> None:
        """Stop all processes, as when a virtual machine is paused."""
        while running := [process for process in self.processes() if not _is_stopped(process)]:
            for process in running:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.suspend()

    def thaw(self) -> None:
        """Continue all processes."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def processes(self) -> list[psutil.Process]:
        """Return all processes."""
        assert self._process
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def task_processes(self) -> list[psutil.Process]:
        """Return the processes that execute operators, also those that have lost their supervisor."""
        assert self._process
        (init,) = psutil.Process(self._process.pid).children()
        worker = min(init.children(), key=lambda child: child.pid)  # the others are adopted
        others = {init, worker, *worker.children()}
        return [each for each in self.processes() if each not in others and not each.children()]


def _is_stopped(process: psutil.Process) -> bool:
    try:
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _run(command: str) -> None:
    subprocess.run(command.split(), check=True)
