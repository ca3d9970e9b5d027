"""How many descriptors the process may have, and what is said where they are few."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys

import pytest

from sidecar.descriptors import raise_limit, shortage

POLICY = """
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage}
spec: {egress: allow}
"""


class Limits:
    """getrlimit and setrlimit of a process that nobody else sees."""

    def __init__(self, soft: int, hard: int, most: int) -> None:
        self.now = (soft, hard)
        self._most = most

    def get(self, which: int) -> tuple[int, int]:
        assert which == resource.RLIMIT_NOFILE
        return self.now

    def set(self, which: int, limits: tuple[int, int]) -> None:
        if limits[0] > self._most:
            raise ValueError("current limit exceeds maximum limit")
        self.now = limits


@pytest.mark.parametrize(
    ("soft", "hard", "most", "expected"),
    [(1024, 4096, 10_000, 4096), (4096, 4096, 10_000, 4096), (1024, 2**30, 10_000, 1024)],
)
def test_the_soft_limit_becomes_the_hard_one_where_the_kernel_can(
    monkeypatch, soft, hard, most, expected
) -> None:
    limits = Limits(soft, hard, most)
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.set)
    assert raise_limit() == expected
    assert limits.now[0] == expected


@pytest.mark.parametrize(
    ("limit", "connections", "listeners", "enough"),
    [
        (1024, 4096, 2, False),
        (16_511, 4096, 2, False),
        (16_512, 4096, 2, True),
        (1024, 100, 4, True),
        (resource.RLIM_INFINITY, 4096, 4, True),
    ],
)
def test_too_few_descriptors_are_told_with_how_many_would_do(limit, connections, listeners, enough) -> None:
    told = shortage(limit, connections, listeners)
    assert (told is None) is enough
    if told is not None:
        assert f"which may need {2 * connections * listeners + 128};" in told


def test_a_sidecar_says_at_start_that_descriptors_are_few(tmp_path) -> None:
    """As a process of its own, because a hard limit that was lowered stays so."""
    (tmp_path / "policies.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "sidecar.yaml").write_text(
        'listen: {forward: "127.0.0.1:0", telemetry: "127.0.0.1:0"}\npolicies: [policies.yaml]\n',
        encoding="utf-8",
    )
    variables = {name: value for name, value in os.environ.items() if not name.startswith("OUTRIDER_")}
    limited = 'ulimit -Sn 256; ulimit -Hn 512; exec "$@"'
    command = [sys.executable, "-m", "sidecar", "--config", str(tmp_path / "sidecar.yaml")]
    with subprocess.Popen(
        ["/bin/sh", "-c", limited, "sh", *command], stderr=subprocess.PIPE, text=True, env=variables
    ) as process:
        assert process.stderr is not None
        told = json.loads(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
    assert told["event"] == "few_descriptors"
    assert told["detail"].startswith("512 file descriptors are too few for limits.connections: 4096")
    assert process.returncode in (0, -signal.SIGTERM), rest
