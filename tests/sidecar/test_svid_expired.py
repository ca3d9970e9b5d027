"""The SVID has expired and the provider is gone: unready, mTLS refused, and metric and log say since when."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from mesh.reasons import Reason
from sidecar.app import Sidecar
from sidecar.telemetry import names
from sidecar.telemetry.log import Log
from tests.support.loopback import answering, call, client_of, json_answer, result, serving, unready
from tests.support.meshed import GITHUB, TRIAGE, Published, client_side, new_mesh, server_side

Lines = asyncio.Queue[dict[str, Any]]


@pytest.fixture
def expiries(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """The log's lines about identities that have expired."""
    lines: Lines = asyncio.Queue()
    write = Log.write

    def note(log: Log, event: str, **fields: Any) -> None:
        write(log, event, **fields)
        if event == "identity_expired":
            lines.put_nowait(fields)

    monkeypatch.setattr(Log, "write", note)
    return lines


def gauge(sidecar: Sidecar, name: str) -> float:
    lines = [line for line in sidecar.metrics.exposition().splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].split()[1])


@pytest.mark.parametrize("gone", ["server", "client"])
async def test_the_side_without_a_renewed_svid_refuses_says_so_and_comes_back(
    gone: str, expiries: Lines
) -> None:
    mesh = new_mesh()
    script, seen = answering(json_answer(result({"content": []})))
    lives = {"server": 3600.0, "client": 3600.0, gone: 2.0}
    identities = {
        "server": mesh.identity(GITHUB, seconds=lives["server"]),
        "client": mesh.identity(TRIAGE, seconds=lives["client"]),
    }
    providers = {side: Published(identity) for side, identity in identities.items()}
    async with (
        asyncio.timeout(20),
        serving(script) as backend,
        server_side(providers["server"], backend.port) as (server, inbound),
        client_side(providers["client"], inbound) as (client, port),
        client_of(port) as agent,
    ):
        sidecar = {"server": server, "client": client}[gone]
        assert (await agent.rpc(call("search")))[0] == 200
        line = await expiries.get()
        end = identities[gone].svid.not_after
        assert line["reason"] is Reason.SVID_EXPIRED
        assert line["spiffe_id"] == str(identities[gone].svid.spiffe_id)
        assert datetime.fromisoformat(line["since"]) == end
        assert unready(sidecar) == (Reason.SVID_EXPIRED,)
        assert gauge(sidecar, "outrider_identity_ready") == 0
        assert -20 < gauge(sidecar, "outrider_identity_expiry_seconds") <= 0

        status, answer = await agent.rpc(call("search", 2))
        assert status in (502, 503)
        assert len(seen) == 1
        if gone == "client":
            assert answer["error"]["data"]["reason"] == Reason.SVID_EXPIRED
        else:
            refused = ("inbound", Reason.SVID_EXPIRED)
            assert server.metrics.value(names.HANDSHAKES, refused) >= 1

        renewed = asyncio.Event()
        sidecar.identity.subscribe(lambda identity: renewed.set())
        providers[gone].put(mesh.identity(GITHUB if gone == "server" else TRIAGE))
        await renewed.wait()
        assert unready(sidecar) == ()
        assert (await agent.rpc(call("search", 3)))[0] == 200
        assert expiries.empty()
