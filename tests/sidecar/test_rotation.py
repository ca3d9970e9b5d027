"""Two sidecars whose identities rotate under load, from the mesh's own CA and from files: no call is lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mesh.identity.ca import make_authority
from mesh.identity.issue import new_svid
from mesh.identity.pem import CERTIFICATE, PRIVATE_KEY, write_pem
from mesh.identity.spiffe_id import SpiffeId
from sidecar.app import Sidecar
from sidecar.control.trust import ControlTrust
from sidecar.identity.builtin import BuiltinProvider
from sidecar.identity.ca_client import CaClient
from sidecar.identity.files import FilesProvider
from sidecar.identity.identity_files import FileLayout
from tests.support.ca import LiveClock, RunningCa, running_ca
from tests.support.loopback import Client, answering, call, client_of, json_answer, result, serving
from tests.support.meshed import GITHUB, TRIAGE, client_side, server_side
from webhook.identity.authorities import quick_times

# SVIDs of four seconds are renewed each two; an authority is announced a second before it signs.
QUICK = quick_times(timedelta(seconds=40), timedelta(seconds=4), timedelta(seconds=1))


def from_ca(ca: RunningCa, namespace: str, account: str) -> Any:
    token = ca.folder / f"{account}.token"
    token.write_text(ca.tokens.token(namespace, account))
    return BuiltinProvider(
        CaClient(ca.target, ControlTrust(ca.root.read_text()), token), on_problem=ca.problems.append
    )


async def ask(client: Client) -> int:
    status, answer = await client.rpc(call("search"))
    assert (status, answer) == (200, result({"content": []}))
    return 1


async def test_no_call_is_lost_while_svids_and_the_authority_rotate(tmp_path: Path) -> None:
    script, _ = answering(json_answer(result({"content": []})))
    async with running_ca(
        tmp_path, clock=LiveClock(), times=QUICK, trust_domain="test.mesh", refresh_seconds=1
    ) as ca:
        first = ca.authorities.signing
        ca.authorities.announce()
        async with (
            serving(script) as backend,
            server_side(from_ca(ca, "tools", "github"), backend.port) as (server, inbound),
            client_side(from_ca(ca, "agents", "triage"), inbound) as (agent, port),
            client_of(port) as kept,
            asyncio.timeout(60),
        ):
            calls, of_server, of_agent = 0, svids_of(server), svids_of(agent)
            while min(len(of_server), len(of_agent)) < 2 or ca.authorities.signing is first:
                calls += await ask(kept)
                async with client_of(port) as fresh:
                    calls += await ask(fresh)
            assert await ask(kept)
        assert calls > 10
        assert ca.problems == []


def svids_of(sidecar: Sidecar) -> set[tuple[bytes, ...]]:
    """The SVIDs that it has, and those that it will have."""
    current = sidecar.identity.current
    assert current is not None
    seen = {current.svid.chain_der}
    sidecar.identity.subscribe(lambda identity: seen.add(identity.svid.chain_der))
    return seen


async def test_no_call_is_lost_while_files_rotate(tmp_path: Path) -> None:
    authority = make_authority("test.mesh", datetime.now(UTC), timedelta(days=1))
    script, _ = answering(json_answer(result({"content": []})))

    def write(name: str, identity: str) -> None:
        svid = new_svid(authority, SpiffeId.parse(identity), datetime.now(UTC), timedelta(hours=1))
        text = write_pem(PRIVATE_KEY, svid.key_pkcs8_der) + write_pem(CERTIFICATE, *svid.chain_der)
        (tmp_path / "new").write_text(text)
        (tmp_path / "new").replace(tmp_path / name)

    def provider(name: str) -> Any:
        return FilesProvider(FileLayout(tmp_path / name, None, tmp_path / "trust.pem"), poll=0.01)

    (tmp_path / "trust.pem").write_text(write_pem(CERTIFICATE, authority.der))
    write("server", GITHUB)
    write("agent", TRIAGE)
    async with (
        serving(script) as backend,
        server_side(provider("server"), backend.port) as (server, inbound),
        client_side(provider("agent"), inbound) as (agent, port),
        client_of(port) as client,
        asyncio.timeout(60),
    ):
        for rotation in range(2, 6):
            write("server", GITHUB)
            write("agent", TRIAGE)
            while min(server.identity.generation, agent.identity.generation) < rotation:
                await ask(client)
