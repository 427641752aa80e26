"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.sandbox_control import SandboxControl, sandbox_thread

# A busy machine is not a failure.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[SandboxControl]:
    """A sandbox that runs as long as the tests do."""
    with sandbox_thread() as control:
        yield control


@pytest.fixture
def sandbox(running_sandbox: SandboxControl) -> SandboxControl:
    """A sandbox as new."""
    running_sandbox.reset()
    return running_sandbox
