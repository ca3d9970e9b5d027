"""Every known way to show a client a forbidden tool past a filter of answers, tried on real SDK clients.

A hostile server answers `tools/list` in each odd encoding. Directly, to show which clients read it; through the
sidecar, where the forbidden tool must never show up in what a client returns, and where an answer that can be put
in order still brings the allowed one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from e2e import sdk_clients, sidecars
from e2e.conftest import Sidecars, skip
from e2e.environments import Unavailable
from e2e.evil_answers import ALLOWED, FORBIDDEN, ROWS, EvilRow
from e2e.processes import announced_port, spawn
from e2e.sdk_clients import CLIENTS, Client, Found

CASES = [pytest.param(client, row, id=f"{client.name}-{row.id}") for client in CLIENTS for row in ROWS]


@pytest.fixture(scope="module")
def evil() -> Iterator[int]:
    with spawn([sys.executable, "-m", "e2e.servers.evil"], announced_port) as port:
        yield port


def _urls(port: int) -> list[tuple[str, str]]:
    return [(row.id, f"http://localhost:{port}/{row.id}/mcp") for row in ROWS]


@pytest.fixture(scope="module")
def directly(evil: int) -> Found:
    try:
        return sdk_clients.play(_urls(evil))
    except Unavailable as reason:
        skip("the SDK clients", reason)
        raise


@pytest.fixture(scope="module")
def through(evil: int, sidecar: Sidecars) -> Found:
    documents = [
        sidecars.backend("evil", evil, "/"),
        sidecars.policy({"backend": "evil", "tools": {"allow": [ALLOWED]}}),
    ]
    try:
        return sdk_clients.play(_urls(evil), proxy=sidecar("evil", documents).proxy)
    except Unavailable as reason:
        skip("the SDK clients", reason)
        raise


@pytest.mark.parametrize(("client", "row"), CASES)
def test_the_answer_is_read_directly_by_the_clients_it_is_said_to_be_read_by(
    client: Client, row: EvilRow, directly: Found
) -> None:
    answer = directly[client.name, row.id]
    assert (FORBIDDEN in answer["tools"]) == (client.name in row.read_by), answer


@pytest.mark.parametrize(("client", "row"), CASES)
def test_the_forbidden_tool_never_shows_up_behind_the_sidecar(
    client: Client, row: EvilRow, through: Found
) -> None:
    answer = through[client.name, row.id]
    assert FORBIDDEN not in answer["tools"]
    if row.safe and (client.name in row.read_by or not row.read_by):
        assert answer["tools"] == [ALLOWED], answer
