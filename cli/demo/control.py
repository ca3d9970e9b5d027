"""The control plane, for one machine: what it is started with, and what a sidecar needs to prove itself to it.

In a cluster the API server signs a token for each pod and mounts it in the sidecar. Here the demo does both, with
a key that it makes and forgets.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.demo.cast import TRUST_DOMAIN, Workload
from cli.demo.processes import Part, PartFailed, Parts, Record
from mesh.identity.bundle_document import write_jwks
from mesh.identity.jws import sign
from mesh.identity.jwt_svid import JwtKey, make_jwt_key
from mesh.settings.installation import CONTROL, CONTROL_AUDIENCE
from webhook.identity.serving_certificate import ROOT_FILE, make_serving_files

ISSUER = "https://demo.invalid"
REFUSED_SECONDS = 5.0
LIFETIME = timedelta(hours=1)
SERVICE = f"{CONTROL}.outrider-system.svc"
"""Its name in a cluster; here it is dialled by its address."""


def make_control(folder: Path, workloads: Iterable[Workload]) -> None:
    """Make the control plane's certificate, the keys of the tokens' issuer, and a token for each workload."""
    now, key = datetime.now(UTC), make_jwt_key()
    _control(folder).mkdir(parents=True, exist_ok=True)
    make_serving_files(_control(folder), ["127.0.0.1", SERVICE], now, LIFETIME)
    _issuer_keys(folder).write_bytes(write_jwks({key.key_id: key.public}))
    for workload in workloads:
        token_file(folder, workload).write_text(_token(key, workload, now), encoding="ascii")
        token_file(folder, workload).chmod(0o600)


def roots(folder: Path) -> str:
    """What vouches for the control plane's certificate, as PEM."""
    return (_control(folder) / ROOT_FILE).read_text(encoding="ascii")


def token_file(folder: Path, workload: Workload) -> Path:
    """Where the token of a workload's pod lies."""
    return _control(folder) / f"{workload.name}.token"


def pod_uid(workload: Workload) -> str:
    """What tells the workload's one pod from those that had its name before."""
    return f"uid-of-{workload.name}"


class ControlPlane:
    """The control plane, ready, and its log."""

    def __init__(self, part: Part, url: str) -> None:
        self.url = url
        self._part = part

    @classmethod
    async def start(cls, parts: Parts, folder: Path, documents: Path) -> ControlPlane:
        """Have it serve what lies in `documents`. Raises PartFailed."""
        part = await parts.start("control-plane", "webhook.distribution", *options(folder, documents))
        ready = await part.find(lambda record: record.get("event") == "ready")
        return cls(part, ready["url"])

    def check_read(self) -> None:
        """That it could read every file; raises PartFailed with what it says."""
        said = [record for record in self._part.records if record.get("event") in _NOT_READ]
        if said:
            raise PartFailed(self._part.name, f"cannot read a policy: {said[0]}", "")

    async def refused(self) -> Record:
        """The first document that it refused, past or to come; empty if none comes."""
        try:
            return await self._part.find(_is_refusal, within=REFUSED_SECONDS)
        except PartFailed:
            return {}


_NOT_READ = ("documents_unreadable", "object_unreadable", "object_refused")


def _is_refusal(record: Record) -> bool:
    return record.get("event") == "object_refused"


def options(folder: Path, documents: Path) -> tuple[str, ...]:
    """The arguments of `python -m webhook.distribution` that serve what lies in `documents`."""
    return (
        *("--documents", str(documents), "--trust-domain", TRUST_DOMAIN, "--listen", "127.0.0.1:0"),
        *("--issuer", ISSUER, "--issuer-keys", str(_issuer_keys(folder)), "--serving", str(_control(folder))),
    )


def _control(folder: Path) -> Path:
    return folder / "control"


def _issuer_keys(folder: Path) -> Path:
    return _control(folder) / "issuer.jwks"


def _token(key: JwtKey, workload: Workload, now: datetime) -> str:
    """As Kubernetes makes them: bound to one pod, good for one audience."""
    begins, account = int(now.timestamp()), f"{workload.namespace}:{workload.name}"
    about = {
        "namespace": workload.namespace,
        "serviceaccount": {"name": workload.name, "uid": f"account-{workload.name}"},
        "pod": {"name": workload.name, "uid": pod_uid(workload)},
    }
    claims = {
        "iss": ISSUER,
        "aud": [CONTROL_AUDIENCE],
        "sub": f"system:serviceaccount:{account}",
        "iat": begins,
        "nbf": begins,
        "exp": begins + int(LIFETIME.total_seconds()),
        "kubernetes.io": about,
    }
    return sign(key.key, key.key_id, claims)
