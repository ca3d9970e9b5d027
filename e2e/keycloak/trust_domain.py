"""The mesh's own trust domain beside a Keycloak: our control plane on one machine, and workloads that it knows."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from e2e.keycloak.control_plane import SERVICE_ACCOUNTS
from e2e.processes import announced_port, spawn
from e2e.spire.daemon import free_port
from mesh.identity.bundle_document import jwk_of
from mesh.identity.jws import sign
from mesh.protocol.http1.target import absolute_form
from mesh.settings.installation import CONTROL_AUDIENCE
from sidecar.control.trust import ControlTrust
from sidecar.identity.builtin import BuiltinProvider
from sidecar.identity.ca_client import CaClient

NAMESPACE = "agents"
TOKEN_SECONDS = 3600
_KEY_ID = "service-accounts"


class TrustDomain:
    """A running control plane.

    name       the trust domain
    url        its HTTPS port; also the `iss` of its JWT-SVIDs
    roots      the file that vouches for that port
    documents  the folder with policies that its sidecars are sent
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def roots(self) -> Path:
        return self.folder / "serving" / "root.pem"

    @property
    def documents(self) -> Path:
        return self.folder / "documents"

    def id(self, account: str) -> str:
        """The SPIFFE ID of the workload with this ServiceAccount."""
        return f"spiffe://{self.name}/ns/{NAMESPACE}/sa/{account}"

    def service_account_token(self, account: str) -> str:
        """What a cluster's API server would mount into the pod."""
        now = int(time.time())
        about = {
            "namespace": NAMESPACE,
            "serviceaccount": {"name": account, "uid": "1"},
            "pod": {"name": f"{account}-1", "uid": f"uid-{account}"},
        }
        claims = {"iss": SERVICE_ACCOUNTS, "aud": [CONTROL_AUDIENCE], "kubernetes.io": about}
        dates = {"iat": now, "nbf": now, "exp": now + TOKEN_SECONDS}
        subject = f"system:serviceaccount:{NAMESPACE}:{account}"
        return sign(self._key, _KEY_ID, {**claims, **dates, "sub": subject})

    def token_file(self, account: str) -> Path:
        """The same in a file, as sidecars read it."""
        file = self.folder / f"token-{account}"
        file.write_text(self.service_account_token(account), encoding="ascii")
        return file

    def source(self, account: str) -> BuiltinProvider:
        """The sidecar's own provider of identity for a workload, which is also its JwtSource."""
        trust = ControlTrust(self.roots.read_text(encoding="ascii"))
        server = absolute_form(self.url.encode() + b"/")
        return BuiltinProvider(CaClient(server, trust, self.token_file(account)))

    def jwt_svid(self, account: str, *audience: str) -> str:
        """A JWT-SVID that the control plane issues to the workload."""
        with ThreadPoolExecutor(1) as own_loop:  # the caller may have one of its own
            return own_loop.submit(asyncio.run, self.source(account).jwt_svid(audience)).result().token

    def run(self) -> contextlib.AbstractContextManager[int]:
        keys = self.folder / "issuer.json"
        keys.write_text(json.dumps({"keys": [jwk_of(self._key.public_key(), kid=_KEY_ID)]}), encoding="ascii")
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "e2e.keycloak.control_plane",
            "--port",
            str(self.port),
        ]
        command += ["--trust-domain", self.name, "--folder", self.folder, "--issuer-keys", keys]
        return spawn(command, announced_port, log=self.folder / "control-plane.log")


@contextlib.contextmanager
def trust_domain(folder: Path, name: str = "mesh.test") -> Iterator[TrustDomain]:
    """Start the control plane of a trust domain. Raises DidNotStart."""
    folder.mkdir(parents=True, exist_ok=True)
    domain = TrustDomain(name, folder)
    with domain.run():
        yield domain
