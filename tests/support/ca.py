"""The mesh's own CA over real TLS on loopback, and ServiceAccount tokens that it accepts."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.identity.bundle_document import BundleDocument
from mesh.identity.jws import sign
from mesh.protocol.http1.target import Target, absolute_form
from webhook.identity.application import control_application, control_runner
from webhook.identity.authorities import InMemory
from webhook.identity.ca_server import CaServer
from webhook.identity.keyring.values import Times
from webhook.identity.local_reviewer import LocalReviewer
from webhook.identity.proofs import Proofs
from webhook.identity.rate_limit import RateLimit
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files
from webhook.timed_site import TimedSite

ISSUER = "https://kubernetes.default.svc"
AUDIENCE = "outrider-control"
TRUST_DOMAIN = "a.example"


class WallClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class LiveClock(WallClock):
    """Goes as the real one does."""

    def __call__(self) -> datetime:
        self.now = datetime.now(UTC)
        return self.now


@dataclass
class TokenIssuer:
    """Signs tokens as an API server does."""

    clock: WallClock
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def claims(self, namespace: str = "agents", account: str = "triage", **more: Any) -> dict[str, Any]:
        now = int(self.clock.now.timestamp())
        about = {
            "namespace": namespace,
            "serviceaccount": {"name": account, "uid": "1"},
            "pod": {"name": "triage-1", "uid": "2"},
        }
        subject = f"system:serviceaccount:{namespace}:{account}"
        claims = {"iss": ISSUER, "aud": [AUDIENCE], "sub": subject, "iat": now, "nbf": now, "exp": now + 3600}
        return {**claims, "kubernetes.io": about, **more}

    def token(self, namespace: str = "agents", account: str = "triage", **more: Any) -> str:
        return sign(self.key, "k1", self.claims(namespace, account, **more))


@dataclass
class RunningCa:
    """A CA that serves, and what a client of it needs."""

    folder: Path
    clock: WallClock
    authorities: InMemory
    tokens: TokenIssuer
    audit: list[dict[str, object]]
    application: Callable[[], web.Application]
    target: Target = field(default_factory=lambda: absolute_form(b"https://localhost:1"))
    runner: web.AppRunner | None = None
    problems: list[str] = field(default_factory=list)
    head_seconds: float = 10.0

    @property
    def root(self) -> Path:
        return self.folder / ROOT_FILE

    @property
    def token(self) -> Path:
        return self.folder / "token"

    def events(self) -> list[object]:
        return [record["event"] for record in self.audit]

    async def start(self, context: ssl.SSLContext | None = None) -> None:
        """Serve, on the port that it had before if it had one. `context`: not one that asks for no certificate."""
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_cert_chain(self.folder / CERT_FILE, self.folder / KEY_FILE)
        self.runner = control_runner(self.application())
        await self.runner.setup()
        port = 0 if self.target.port == 1 else self.target.port
        site = TimedSite(self.runner, "127.0.0.1", port, ssl_context=context, seconds=self.head_seconds)
        await site.start()
        self.target = absolute_form(f"https://localhost:{self.runner.addresses[0][1]}".encode())

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None


@asynccontextmanager
async def running_ca(
    folder: Path,
    *,
    clock: WallClock | None = None,
    times: Times | None = None,
    per_minute: float = 600.0,
    burst: int = 100,
    federated: dict[str, BundleDocument] | None = None,
    trust_domain: str = TRUST_DOMAIN,
    refresh_seconds: int = 300,
    head_seconds: float = 10.0,
) -> AsyncIterator[RunningCa]:
    """A CA on a free port of loopback, with a good token in `folder`."""
    clock = clock or WallClock()
    make_serving_files(folder, ["localhost"], datetime.now(UTC), timedelta(days=1))
    authorities = InMemory(trust_domain, clock, times)
    tokens = TokenIssuer(clock)
    audit: list[dict[str, object]] = []
    reviewer = LocalReviewer(ISSUER, AUDIENCE, {"k1": tokens.key.public_key()}, clock)

    def record(line: Mapping[str, object]) -> None:
        audit.append(dict(line))

    server = CaServer(
        authorities,
        limit=RateLimit(clock.seconds, per_minute=per_minute, burst=burst),
        audit=record,
        clock=clock,
        federated=lambda: federated or {},
        refresh_seconds=refresh_seconds,
    )

    def application() -> web.Application:
        return control_application(Proofs(authorities, reviewer, clock), record, ca=server, clock=clock)

    ca = RunningCa(folder, clock, authorities, tokens, audit, application, head_seconds=head_seconds)
    ca.token.write_text(tokens.token())
    await ca.start()
    try:
        yield ca
    finally:
        await ca.stop()
