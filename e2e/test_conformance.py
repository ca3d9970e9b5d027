"""The MCP conformance suite with the sidecar in the middle finds exactly what it finds without.

Both ways: the suite as the client of a server of ours, and the suite as the server of a client of ours, in both
protocol revisions. The direct runs have to be clean, so that "the same" is not the same failure twice.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from e2e import conformance, namespaces, sidecars
from e2e.conformance import LEGACY, MODERN, Outcome
from e2e.conftest import Sidecars, skip
from e2e.environments import NodeParts
from e2e.processes import announced_port, spawn

REVISIONS = [LEGACY, MODERN]
WAYS = {
    "through the forward proxy": "e2e.clients.through_sidecar",
    "through transparent capture": "e2e.clients.captured",
    "through interception of HTTPS": "e2e.clients.captured --https",
}
# What the suite held when it was pinned: fewer means that scenarios fell out of the run.
LEAST_SERVER_CHECKS = {LEGACY: 84, MODERN: 152}
LEAST_CLIENT_CHECKS = {LEGACY: 247, MODERN: 400}


@pytest.fixture(scope="module")
def everything(python_v2: Path) -> Iterator[int]:
    with spawn([python_v2, "-m", "e2e.servers.everything"], announced_port) as port:
        yield port


@pytest.fixture(scope="module")
def server_runs(
    everything: int, node: NodeParts, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """The direct runs of the server suite, by revision."""
    url = f"http://localhost:{everything}/mcp"
    run = partial(conformance.server_suite, node, url)
    return {revision: run(revision, tmp_path_factory.mktemp(f"server-{revision}")) for revision in REVISIONS}


@pytest.fixture(scope="module")
def client_runs(
    node: NodeParts, python_v2: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """The direct runs of the client suite, by revision."""
    command = f"{python_v2} -m e2e.clients.conformance_client"
    run = partial(conformance.client_suite, node, command)
    return {revision: run(revision, tmp_path_factory.mktemp(f"client-{revision}")) for revision in REVISIONS}


@pytest.mark.parametrize("revision", REVISIONS)
def test_our_server_passes_the_suite_directly(revision: str, server_runs: dict[str, Outcome]) -> None:
    outcome = server_runs[revision]
    assert not outcome.failures, outcome.summary
    assert outcome.counted("SUCCESS") >= LEAST_SERVER_CHECKS[revision], outcome.output[-2000:]


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_server_suite_finds_the_same_through_the_sidecar(
    revision: str,
    everything: int,
    node: NodeParts,
    server_runs: dict[str, Outcome],
    sidecar: Sidecars,
    tmp_path: Path,
) -> None:
    documents = [
        sidecars.backend("everything", everything),
        sidecars.policy(sidecars.allow_all("everything")),
    ]
    proxy = sidecar("everything", documents).proxy
    url = f"http://localhost:{everything}/mcp"
    through = conformance.server_suite(node, url, revision, tmp_path, proxy=proxy)
    assert conformance.difference(server_runs[revision], through) == ""


@pytest.mark.parametrize("revision", REVISIONS)
def test_our_client_passes_the_suite_directly(revision: str, client_runs: dict[str, Outcome]) -> None:
    outcome = client_runs[revision]
    assert not outcome.failures, outcome.summary
    assert outcome.counted("SUCCESS") >= LEAST_CLIENT_CHECKS[revision], outcome.output[-2000:]


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("way", WAYS)
def test_the_client_suite_finds_the_same_through_the_sidecar(
    way: str, revision: str, node: NodeParts, client_runs: dict[str, Outcome], tmp_path: Path
) -> None:
    if reason := sidecars.missing() or ("captured" in WAYS[way] and namespaces.missing()):
        skip(f"the client suite {way}", reason)
    through = conformance.client_suite(node, f"{sys.executable} -m {WAYS[way]}", revision, tmp_path)
    assert conformance.difference(client_runs[revision], through) == ""
