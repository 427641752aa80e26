"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.sandbox_control import SandboxControl, sandbox_thread

# Airflow's home holds its database and the shared access token: each worker of pytest-xdist has its own.
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    os.environ["AIRFLOW_HOME"] = os.path.join(os.environ.get("AIRFLOW_HOME", "~/airflow"), worker)

# A busy machine is not a failure.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[SandboxControl]:
    """Run a sandbox for the whole test session."""
    with sandbox_thread() as control:
        yield control


@pytest.fixture
def sandbox(running_sandbox: SandboxControl) -> SandboxControl:
    """Return a freshly reset sandbox."""
    running_sandbox.reset()
    return running_sandbox
