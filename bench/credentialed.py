"""What `bench.path` needs to measure requests with a credential: a desk whose tokens come from nowhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mesh.policy.credentials import ClientAuth, ClientCredentials, Credential, Exchange, TokenServer
from mesh.policy.documents import Backend, Documents
from mesh.policy.principal import User
from mesh.policy.user_auth import Issuer, UserAuth
from sidecar.credentials.assembly import assembled
from sidecar.credentials.desk import Desk
from sidecar.credentials.issued import Issued
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.sources import Sources
from sidecar.credentials.verified import Verified
from sidecar.proxy.pool import Pool
from sidecar.telemetry.credential_record import CredentialRecord
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics

ISSUER = "https://idp.example.com"
SERVER = TokenServer(ISSUER, None, ClientAuth())
KINDS: dict[str, Credential] = {
    "token": ClientCredentials(SERVER, scopes=("repo:read",)),
    "user": Exchange(SERVER, audience="github"),
}
USERS = UserAuth((Issuer(ISSUER, ("https://agent.example.com",)),))
TOKEN = b"eyJhbGciOiJSUzI1NiJ9." + b"x" * 700 + b"." + b"y" * 340
ALICE = Verified(User(ISSUER, "alice"), "t" * 1000, time.time() + 86_400, b"k" * 32)


class Given:
    """Mints the same token for everybody, at once."""

    def kind(self, credential: Credential) -> str:
        """Any word will do."""
        return "given"

    def server(self, credential: Credential) -> str:
        """Nobody is asked."""
        return ""

    async def mint(self, backend: Backend, subject: Verified | None, scopes: frozenset[str]) -> Issued:
        """As long as a token of Keycloak."""
        return Issued([(b"authorization", b"Bearer " + TOKEN)], (TOKEN,), time.time() + 86_400)


def with_credential(documents: Documents, kind: str) -> Documents:
    """The same documents, with this credential for every Backend, and users where it is for them."""
    backends = tuple(replace(backend, credential=KINDS[kind]) for backend in documents.backends)
    users = USERS if kind == "user" else None
    policies = tuple(replace(policy, users=users) for policy in documents.policies)
    return replace(documents, backends=backends, policies=policies)


def desk(pool: Pool, metrics: Metrics, log: Log) -> Callable[[], Desk]:
    """Makes a desk as a sidecar has it, but for where tokens come from."""

    def made() -> Desk:
        whole = assembled(
            pool,
            lambda: None,  # type: ignore[arg-type, return-value]
            metrics,
            log,
            agent="agents/triage",
            secrets=Path("/nowhere"),
            hidden={},
            jwt_source=lambda: None,
            own=lambda: None,
        )
        record = CredentialRecord(metrics, log, agent="agents/triage")
        return replace(whole, sources=Sources(Given(), SecretFiles(None), record))

    return made
