"""The desk of one sidecar, put together: which part asks which other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from mesh.policy.compile import Policy
from sidecar.credentials.client_proof import ClientProof
from sidecar.credentials.correlation import Belongings
from sidecar.credentials.desk import Desk
from sidecar.credentials.fetch import Fetch, destination_for
from sidecar.credentials.handles import Handles
from sidecar.credentials.issuers import Issuers
from sidecar.credentials.kinds import Kinds
from sidecar.credentials.secret_files import SecretFiles
from sidecar.credentials.sources import Sources
from sidecar.credentials.user_sessions import UserSessions
from sidecar.credentials.users import Users
from sidecar.hidden.secrets import HiddenSecrets
from sidecar.hidden.variables import HiddenVariable
from sidecar.identity.jwt_source import JwtSource
from sidecar.proxy.pool import Pool
from sidecar.telemetry.credential_record import CredentialRecord
from sidecar.telemetry.log import Log
from sidecar.telemetry.metrics import Metrics


def assembled(
    pool: Pool,
    policy: Callable[[], Policy],
    metrics: Metrics,
    log: Log,
    *,
    agent: str,
    secrets: Path | None,
    hidden: Mapping[str, HiddenVariable],
    jwt_source: Callable[[], JwtSource | None],
    own: Callable[[], str | None],
    now: Callable[[], float] = time.time,
) -> Desk:
    """`policy` gives the one in force, `secrets` is the folder with the Secrets of credentials, `own` our SPIFFE
    ID."""
    record = CredentialRecord(metrics, log, agent=agent)
    fetch = Fetch(pool, destination_for(policy))
    issuers = Issuers(fetch, now)
    files = SecretFiles(secrets)
    proof = ClientProof(jwt_source, files, now, os.urandom)
    handles, belongings = Handles(now=now), Belongings(now=now)
    sources = Sources(Kinds(fetch, issuers, proof, files, now), files, record, own=own, now=now)

    def withdrawn(keys: Collection[bytes]) -> None:
        for key in keys:
            handles.revoke(key)
            belongings.withdraw(key)
        sources.withdraw(keys)

    return Desk(
        Users(fetch, issuers, proof, now=now, tell=record, withdrawn=withdrawn),
        handles,
        belongings,
        UserSessions(now=now),
        sources,
        lambda destination: Fetch(pool, lambda _: destination),
        HiddenSecrets(hidden, on_problem=record.hidden_secret) if hidden else None,
    )
