"""
The first process of a host: prepares it, starts a command, and adopts the orphans.

It needs only the standard library, and its arguments are the hostname and the command.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys


def main(hostname: str, *command: str) -> int:
    """Run the command on a host with this name, once its network is there, and return its exit code."""
    socket.sethostname(hostname)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/tmp"], check=True)
    print("in its namespaces", flush=True)
    sys.stdin.readline()
    started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    while True:
        pid, status = os.wait()
        if pid == started.pid:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
