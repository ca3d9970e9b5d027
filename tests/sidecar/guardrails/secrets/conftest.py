"""One detector for all tests: its patterns are compiled once."""

from __future__ import annotations

import pytest

from mesh.policy.guardrails import SecretsOptions
from sidecar.guardrails.secrets import SecretsDetector


@pytest.fixture(scope="session")
def secrets() -> SecretsDetector:
    return SecretsDetector(SecretsOptions())
