"""Programs that know only the variables trust the interception CA, and trust it no further than it may go."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from e2e.conftest import skip
from e2e.environments import Unavailable
from e2e.trust_clients import CLIENTS, Outcome, TrustClient, run
from mesh.reasons import Reason
from mesh.settings.trust import environment
from sidecar.identity.refused import TlsRefused
from sidecar.interception.authority import InterceptionAuthority
from sidecar.interception.bundle import write_trust
from sidecar.interception.declared import DeclaredHosts
from tests.support.intercepting import Intercepted, intercepted

DECLARED = DeclaredHosts(frozenset({"api.example.com", "127.0.0.1"}), frozenset({"wild.example"}))
EVERYTHING = DeclaredHosts(frozenset({"bank.example", "127.0.0.1", "example.com", "xapi.example.com"}))
NAMES_ONLY = DeclaredHosts(frozenset({"api.example.com"}))


@pytest.fixture
def authority() -> InterceptionAuthority:
    return InterceptionAuthority(DECLARED)


@pytest.fixture(params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> TrustClient:
    return request.param


def trust(authority: InterceptionAuthority, folder: Path) -> dict[str, str]:
    write_trust(folder, authority.certificate_pem, environment={})
    return environment(str(folder))


async def what_is_logged(server: Intercepted) -> list[TlsRefused]:
    async with asyncio.timeout(5):
        await server.told.wait()
    return [*server.failures, *server.silences]


async def fetch(
    client: TrustClient, server: Intercepted, variables: Mapping[str, str], folder: Path
) -> Outcome:
    try:
        return await run(client, f"https://{server.host}:{server.port}/", variables, folder)
    except Unavailable as reason:
        skip(client.name, reason)
        raise


@pytest.mark.parametrize("host", ["api.example.com", "x.wild.example", "127.0.0.1"])
async def test_a_declared_host_is_trusted(
    client: TrustClient, host: str, authority: InterceptionAuthority, tmp_path: Path
) -> None:
    async with intercepted(authority, host, redirected=True) as server:
        outcome = await fetch(client, server, trust(authority, tmp_path), tmp_path)
    assert outcome.status == 0, outcome.printed
    assert f"this is {host}" in outcome.printed or not client.shows
    assert server.spoken
    assert {hello.server_name for hello in server.hellos} == {None if host == "127.0.0.1" else host}
    assert (server.failures, server.silences) == ([], [])


@pytest.mark.parametrize("host", ["bank.example", "example.com", "xapi.example.com", "127.0.0.1"])
async def test_a_host_that_is_not_declared_is_not_trusted_even_with_a_leaf_of_our_key(
    client: TrustClient, host: str, tmp_path: Path
) -> None:
    stolen = InterceptionAuthority(NAMES_ONLY)
    stolen.hosts = EVERYTHING  # whoever holds the key signs what they like
    variables = trust(stolen, tmp_path)
    async with intercepted(stolen, host, redirected=True) as server:
        outcome = await fetch(client, server, variables, tmp_path)
        told = await what_is_logged(server)
    assert outcome.status != 0
    assert "this is" not in outcome.printed
    assert client.forbids in outcome.printed
    assert [one.reason for one in told][:1] == [Reason.INTERCEPTION_NOT_TRUSTED]


async def test_a_program_without_the_variables_does_not_trust_us_and_the_log_says_so(
    client: TrustClient, authority: InterceptionAuthority, tmp_path: Path
) -> None:
    async with intercepted(authority, "api.example.com", redirected=True) as server:
        outcome = await fetch(client, server, {}, tmp_path)
        told = await what_is_logged(server)
    assert outcome.status != 0
    assert any(word in outcome.printed for word in client.refuses), outcome.printed
    assert told[0].reason is Reason.INTERCEPTION_NOT_TRUSTED
    assert "api.example.com" in told[0].detail


async def test_every_program_of_the_table_is_on_this_machine_or_named_at_the_end() -> None:
    for tool in ("curl", "node", "go", "git", "java"):
        if shutil.which(tool) is None:
            skip(tool, "it is not installed")
