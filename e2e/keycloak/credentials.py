"""The sidecar's credentials as it puts them together, for one workload, without the proxy around them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from e2e.keycloak.server import Keycloak
from e2e.keycloak.trust_domain import TrustDomain
from mesh.policy.compile import compile_policy
from mesh.policy.credentials import ClientAuth, Preset, TokenServer
from mesh.policy.credentials import Exchange as ExchangeConfig
from mesh.policy.load import load_texts
from mesh.policy.user_auth import Introspection, Issuer, UserAuth
from sidecar.credentials.client_proof import ClientProof
from sidecar.credentials.fetch import Fetch, destination_for
from sidecar.credentials.issuers import Issuers
from sidecar.credentials.mint.token_endpoint import Parts
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.users import Users
from sidecar.credentials.verified import Verified
from sidecar.identity.holder import IdentityHolder
from sidecar.limits import Limits
from sidecar.proxy.dial import NetworkDialer
from sidecar.proxy.pool import Pool
from sidecar.proxy.ticker import Ticker


@dataclass(slots=True)
class Clock:
    """The time, and how far a test has gone ahead of it."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass(slots=True)
class Told:
    """What the recorder would be told of users' issuers: the last problem of each, None where all is well."""

    problems: dict[str, str | None] = field(default_factory=dict)

    def user_keys(self, issuer: str, problem: str | None, keys: int) -> None:
        self.problems[issuer] = problem


@dataclass(frozen=True, slots=True)
class Credentials:
    """One workload's: `parts` mint, `users` verify."""

    server: Keycloak
    clock: Clock
    told: Told
    parts: Parts
    users: Users

    async def verified(self, token: str) -> Verified:
        """A user's token, verified."""
        return await self.users.verify(token.encode("ascii"))


@contextlib.contextmanager
def credentials(
    server: Keycloak, mesh: TrustDomain, account: str, secrets: Path | None = None
) -> Iterator[Credentials]:
    """Of the workload with this ServiceAccount, whose JWT-SVIDs come from the control plane; inside a loop."""
    loop_time, clock, told = asyncio.get_running_loop().time, Clock(), Told()
    pool = Pool(NetworkDialer(IdentityHolder(), connect={}), Limits(), Ticker(1.0, loop_time), loop_time)
    policy = compile_policy(load_texts([]), labels={}, namespace="agents")
    fetch = Fetch(pool, destination_for(lambda: policy))
    issuers = Issuers(fetch, clock)
    source = mesh.source(account)
    proof = ClientProof(lambda: source, SecretFiles(secrets), clock, os.urandom)
    parts = Parts(fetch, issuers, proof, clock, backend="github")
    try:
        yield Credentials(server, clock, told, parts, Users(fetch, issuers, proof, now=clock, tell=told))
    finally:
        pool.close()


def token_server(server: Keycloak, client: ClientAuth | None = None) -> TokenServer:
    """The realm, by its issuer."""
    return TokenServer(server.issuer, None, client or ClientAuth())


def exchange_for(server: Keycloak, audience: str = "mcp-github", *scopes: str) -> ExchangeConfig:
    """A Backend's section `credential.exchange` for this realm."""
    return ExchangeConfig(token_server(server), Preset.KEYCLOAK, audience, scopes=scopes)


def accepts(
    server: Keycloak, audience: str = "orchestrator", introspection: Introspection | None = None
) -> UserAuth:
    """A policy's section `users` for tokens of this realm."""
    return UserAuth((Issuer(server.issuer, (audience,), introspection=introspection),))
