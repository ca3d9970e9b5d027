"""The sidecar's parts that talk to authorization servers, put together as the sidecar does, inside of a test.

What a Backend's `credential` is, is written as users write it. No request of an agent is needed to have a token
minted, so each kind of grant and each proof is shown to an authorization server by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.authority import TrustDomain
from e2e.oauth.chain_documents import resource
from e2e.oauth.running import OAuthServer
from e2e.sidecars import LABELS, NAMESPACE, VERSION
from mesh.policy.compile import Policy, compile_policy
from mesh.policy.documents import Backend
from mesh.policy.load import load_texts
from sidecar.credentials.client_proof import ClientProof
from sidecar.credentials.fetch import Fetch, destination_for
from sidecar.credentials.issued import Issued
from sidecar.credentials.issuers import Issuers
from sidecar.credentials.kinds import Kinds
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.users import Users
from sidecar.credentials.verified import Verified
from sidecar.identity.holder import IdentityHolder
from sidecar.identity.workload_api import WorkloadApiProvider
from sidecar.limits import Limits
from sidecar.proxy.dial import NetworkDialer
from sidecar.proxy.pool import Pool
from sidecar.proxy.ticker import Ticker

NONE: frozenset[str] = frozenset()


class Silent:
    """Nobody listens to what happens with issuers."""

    def user_keys(self, issuer: str, problem: str | None, keys: int) -> None:
        """Not told to anybody."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Who mints for Backends, and who verifies users' tokens."""

    kinds: Kinds
    users: Users
    policy: Policy

    async def mint(self, user: bytes | None = None, scopes: frozenset[str] = NONE) -> str:
        """The value of the Authorization field for the one Backend, without the scheme."""
        issued = await self.issue(None if user is None else await self.users.verify(user), scopes)
        ((name, value),) = issued.fields
        assert name == b"authorization"
        return value.decode().removeprefix("Bearer ")

    async def issue(self, subject: Verified | None = None, scopes: frozenset[str] = NONE) -> Issued:
        return await self.kinds.mint(self.backend, subject, scopes)

    @property
    def backend(self) -> Backend:
        (only,) = self.policy.backends
        return only


@contextlib.asynccontextmanager
async def desk(
    folder: Path,
    oauth: OAuthServer,
    domain: TrustDomain,
    workload: str,
    credential: dict[str, Any],
    *,
    users: dict[str, Any] | None = None,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[Desk]:
    """For the workload `workload` (a name), with one Backend. `now`: what users' tokens and keys are judged by."""
    policy = compile_policy(
        load_texts([("test.yaml", yaml.safe_dump_all(_documents(credential, users)))]),
        labels=LABELS,
        namespace=NAMESPACE,
    )
    endpoint = folder / f"{workload}.sock"
    if not endpoint.exists():
        domain.serve(endpoint, f"ns/{NAMESPACE}/sa/{workload}", os.getuid())
    clock = asyncio.get_running_loop().time
    dialer = NetworkDialer(IdentityHolder(), connect={}, authorities_file=str(oauth.authority.roots))
    pool = Pool(dialer, Limits(), Ticker(1.0, clock), clock)
    fetch = Fetch(pool, destination_for(lambda: policy))
    secrets, source = SecretFiles(folder / "credentials"), WorkloadApiProvider(f"unix://{endpoint}")
    issuers, proof = Issuers(fetch, time.time), ClientProof(lambda: source, secrets, time.time, os.urandom)
    verifier = Users(fetch, issuers, proof, now=now, tell=Silent())
    verifier.use(policy.users)
    try:
        yield Desk(Kinds(fetch, issuers, proof, secrets, time.time), verifier, policy)
    finally:
        pool.close()
        await asyncio.sleep(0)  # transports are closed in the next turn


def _documents(credential: dict[str, Any], users: dict[str, Any] | None) -> list[dict[str, Any]]:
    spec = {
        "protocol": "MCP",
        "host": "crm.test",
        "port": 443,
        "path": "/mcp",
        "tls": {"mode": "Public"},
        "credential": credential,
    }
    policy = {
        "selector": {"matchLabels": LABELS},
        "outbound": [{"backend": "crm", "tools": {"allow": ["*"]}}],
        **({} if users is None else {"users": users}),
    }
    return [_document("Backend", "crm", spec), _document("AgentPolicy", "crm", policy)]


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def users_of(oauth: OAuthServer, workload: str, **issuer: Any) -> dict[str, Any]:
    """The section `users`: tokens of this server for the workload."""
    accepted = {"issuer": oauth.issuer, "audiences": [resource(workload)], **issuer}
    return {"issuers": [accepted], "required": True}
