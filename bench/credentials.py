"""`python -m bench.credentials`: what credentials cost: looked up, exchanged, and wanted by a crowd at once.

The sidecar's own parts are used from the registry down to the sockets: exchanges go over the real pool to a token
endpoint on loopback, in another process, which counts them. The proof is a JWT-SVID, kept as always.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from bench.decide import per_second
from mesh.identity.jwt_svid import JwtSvid, issue_jwt_svid, make_jwt_key
from mesh.identity.spiffe_id import SpiffeId
from mesh.policy.compile import compile_policy
from mesh.policy.credentials import (
    ClientAuth,
    ClientCredentials,
    Credential,
    Exchange,
    SecretKey,
    StaticSecret,
    TokenServer,
)
from mesh.policy.documents import Backend, BackendProtocol, BackendTls, TlsMode
from mesh.policy.load import load_texts
from mesh.policy.principal import User
from sidecar.credentials.client_proof import ClientProof
from sidecar.credentials.fetch import Fetch, destination_for
from sidecar.credentials.issuers import Issuers
from sidecar.credentials.kinds import Kinds
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.sources import Sources
from sidecar.credentials.verified import Verified
from sidecar.identity.holder import IdentityHolder
from sidecar.limits import Limits
from sidecar.proxy.dial import NetworkDialer
from sidecar.proxy.pool import Pool
from sidecar.proxy.ticker import Ticker
from sidecar.telemetry.credential_record import CredentialRecord
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics

ME = SpiffeId.parse("spiffe://cluster.local/ns/agents/sa/triage")
AT_ONCE = 64
CROWD = 1000
SLOW_SECONDS = 0.05
"""Of a token endpoint that works for its tokens, for the crowd."""


class Identity:
    """A provider of identity that issues its own JWT-SVIDs."""

    def __init__(self) -> None:
        self._key = make_jwt_key()

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvid:
        """One that lives five minutes."""
        now = datetime.now(UTC)
        return JwtSvid.parse(issue_jwt_svid(self._key, ME, audience, now, timedelta(minutes=5)))


@dataclass
class World:
    """The registry with Backends of three kinds, and how to ask the endpoint for its count."""

    sources: Sources
    fetch: Fetch
    url: str
    exchange: Backend
    own: Backend
    static: Backend
    backends: tuple[Backend, ...] = ()

    async def count(self) -> int:
        """How many tokens the endpoint gave since the last time."""
        return int((await self.fetch("GET", self.url + "/count")).body)


def backend(name: str, credential: Credential) -> Backend:
    return Backend(
        name,
        "agents",
        BackendProtocol.MCP,
        f"{name}.example",
        443,
        "/mcp",
        BackendTls(TlsMode.PUBLIC),
        credential,
    )


def user(name: str) -> Verified:
    """A user's token as it was verified, of a usual length."""
    token = f"{name}-" + "x" * 800
    return Verified(
        User("https://idp.example", name), token, time.time() + 3600, hashlib.sha256(token.encode()).digest()
    )


def start(delay: float) -> subprocess.Popen[str]:
    """The endpoint, which ends when its standard input does."""
    argv = [sys.executable, "-m", "bench.token_endpoint", str(delay)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@asynccontextmanager
async def world(folder: Path, delay: float = 0.0) -> AsyncIterator[World]:
    """Start the token endpoint and compose the registry as the sidecar does."""
    with start(delay) as process:
        try:
            assert process.stdout is not None
            line = await asyncio.to_thread(process.stdout.readline)
            yield compose(folder, f"http://127.0.0.1:{int(line)}")
        finally:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def compose(folder: Path, url: str) -> World:
    clock, limits = asyncio.get_running_loop().time, Limits()
    (folder / "api").mkdir(exist_ok=True)
    (folder / "api" / "key").write_text("a-static-key\n")
    policy = compile_policy(load_texts([]), labels={}, namespace=None)
    pool = Pool(NetworkDialer(IdentityHolder(), connect={}), limits, Ticker(1.0, clock), clock)
    fetch = Fetch(pool, destination_for(lambda: policy))
    secrets, identity = SecretFiles(folder), Identity()
    kinds = Kinds(
        fetch,
        Issuers(fetch, time.time),
        ClientProof(lambda: identity, secrets, time.time, os.urandom),
        secrets,
        time.time,
    )
    record = CredentialRecord(Metrics(), Log(os.open(os.devnull, os.O_WRONLY)), agent="agents/triage")
    own = str(ME)
    sources = Sources(kinds, secrets, record, own=lambda: own, at_once=AT_ONCE)
    server = TokenServer(None, url + "/token", ClientAuth(audience="https://idp.example"))
    made = World(
        sources,
        fetch,
        url,
        backend("exchanged", Exchange(server, audience="crm", scopes=("crm.read",))),
        backend("own", ClientCredentials(server)),
        backend("static", StaticSecret(SecretKey("api", "key"))),
    )
    made.backends = (made.exchange, made.own, made.static)
    sources.use(made)
    return made


async def look_up(at: World) -> list[str]:
    """CPU of a credential that is there, for each kind."""
    alice, lines = user("alice"), []
    for one in at.backends:
        await at.sources.obtain(one, alice)
        ready = at.sources.ready
        if ready(one, alice) is None:
            raise RuntimeError(f"{one.name} is not ready")
        rate = per_second(lambda ready=ready, one=one: ready(one, alice))  # type: ignore[misc]
        lines.append(f"ready, {one.name:10} {1e6 / rate:6.2f} us a request")
    return lines


async def exchange(at: World, seconds: float) -> str:
    """Exchanges of ever new users, as many at once as the registry lets through."""
    await at.count()
    done = 0
    began, cpu = time.perf_counter(), time.process_time()
    end = began + seconds

    async def ask(worker: int) -> None:
        nonlocal done
        number = 0
        while time.perf_counter() < end:
            number += 1
            await at.sources.obtain(at.exchange, user(f"{worker}-{number}"))
            done += 1

    await asyncio.gather(*(ask(worker) for worker in range(AT_ONCE)))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    if await at.count() != done:
        raise RuntimeError("the endpoint counted otherwise")
    return f"exchanges          {done / took:6.0f} a second, {cpu / done * 1e6:.0f} us of CPU each"


async def stampede(at: World, crowd: int) -> list[str]:
    """A crowd that wants one credential at once, and one that wants as many as it has members."""
    lines = []
    await at.sources.obtain(at.exchange, user("warm"))
    for title, users in (
        ("of one user", [user("one")] * crowd),
        ("of as many users", [user(f"crowd-{number}") for number in range(crowd)]),
    ):
        await at.count()
        began, cpu = time.perf_counter(), time.process_time()
        got = await asyncio.gather(*(at.sources.obtain(at.exchange, one) for one in users))
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        asked = await at.count()
        if asked != len({id(issued) for issued in got}):
            raise RuntimeError("the endpoint counted otherwise")
        spent = f"{took * 1e3:.0f} ms until the last has it, {cpu / crowd * 1e6:.0f} us of CPU a request"
        lines.append(f"{crowd} first requests {title}: {asked} exchanges, {spent}")
    return lines


async def measure(seconds: float, crowd: int, folder: Path) -> list[str]:
    """All figures, a line each."""
    async with world(folder) as at:
        lines = [*await look_up(at), await exchange(at, seconds)]
    async with world(folder, SLOW_SECONDS) as at:
        return lines + await stampede(at, crowd)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.credentials", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of exchanges")
    parser.add_argument("--crowd", type=int, default=CROWD, help="requests at once")
    arguments: Any = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for line in uvloop.run(
            measure(min(arguments.seconds, 60), min(arguments.crowd, 10_000), Path(folder))
        ):
            print(line)


if __name__ == "__main__":
    main()
