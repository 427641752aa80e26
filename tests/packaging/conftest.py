"""The distributions, and an environment with only the wheel and its dependencies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
AIRFLOW = ".".join(version("apache-airflow").split(".")[:2])
UV = Path(sys.executable).parent / "uv"


@dataclass(frozen=True)
class Distributions:
    """
    The output of ``make build``.

    :param wheel: the wheel.
    :param sdist: the source distribution.
    """

    wheel: Path
    sdist: Path


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Distributions:
    """Return a freshly built wheel and source distribution."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "hatchling", "build", "--directory", folder], cwd=ROOT)
    return Distributions(next(folder.glob("*.whl")), next(folder.glob("*.tar.gz")))


@pytest.fixture(scope="session")
def install(
    tmp_path_factory: pytest.TempPathFactory, distributions: Distributions
) -> Callable[..., Callable[[str], Any]]:
    """Install the wheel in a separate environment and return a function that runs scripts there."""
    home = tmp_path_factory.mktemp("installed")
    python = home / "venv/bin/python"
    run([UV, "venv", "--quiet", "--python", sys.executable, python.parents[1]])

    def install(extras: str = "") -> Callable[[str], Any]:
        pins = ROOT / f"constraints/airflow-{AIRFLOW}.txt"
        requirement = f"airflow-provider-bigin{extras} @ {distributions.wheel.as_uri()}"
        run([UV, "pip", "install", "--quiet", "--python", python, "--constraints", pins, requirement])

        def run_script(name: str) -> Any:
            """Run a script and return its last line of output, parsed as JSON."""
            script = Path(__file__).parent / "installed" / name
            printed = run([python, "-I", script], cwd=home, AIRFLOW_HOME=str(home))
            return json.loads(printed.splitlines()[-1])

        return run_script

    return install


def run(command: list[Any], cwd: Path | None = None, **variables: str) -> str:
    """Run a command without this process's configuration and return its output."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))
    }
    done = subprocess.run(
        command, cwd=cwd, env=inherited | variables, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
