"""
Run these tests in namespaces of their own: network, mounts, processes, and hostname.

So they need no free ports and no root, and whatever they start ends with them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.distributed.celery_server import POSTGRES_PATH
from tests.distributed.namespaces import NAMESPACES

#: What the tests call, and the Debian package that has it.
PROGRAMS = {
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "postgres": "postgresql",
    "redis-server": "redis-server",
    "unshare": "util-linux",
}
WITH_OWN_TMP = ["sh", "-c", 'mount -t tmpfs tmpfs /tmp && exec "$@"', "sh"]
PYTEST = ["tests/distributed", "--timeout=900"]


def main(*arguments: str) -> None:
    """
    Replace this process with pytest in new namespaces.

    :param arguments: arguments for pytest.
    """
    missing = {package for name, package in PROGRAMS.items() if not shutil.which(name, path=POSTGRES_PATH)}
    if missing:
        sys.exit(f"These tests need more programs; on Debian: apt install {' '.join(sorted(missing))}")
    for user in (["--user", "--map-root-user"], []):
        command = ["unshare", *user, *NAMESPACES]
        if not subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
            command += [*WITH_OWN_TMP, sys.executable, "-m", "pytest", *PYTEST]
            os.execvp("unshare", [*command, *arguments])  # noqa: S606
    sys.exit(
        "These tests need namespaces: run them as root, or allow user namespaces"
        " (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)."
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
