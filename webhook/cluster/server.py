"""Where the API server is, and who we are to it: what the kubelet puts into every pod."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class ApiServer:
    """How to reach the API server. The token is read anew for each request, because the kubelet rotates it."""

    url: str
    token_file: Path
    authorities_file: Path | None

    @classmethod
    def of_cluster(cls, environment: Mapping[str, str], folder: Path = ACCOUNT_FOLDER) -> ApiServer | None:
        """The API server of the cluster that this process runs in, or None where it runs in none."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            return None
        bracketed = f"[{host}]" if ":" in host else host
        return cls(f"https://{bracketed}:{port}", folder / "token", folder / "ca.crt")

    def tls(self) -> ssl.SSLContext | bool:
        """The context that trusts the cluster's own authority, and nothing else."""
        if self.authorities_file is None:
            return True
        context = ssl.create_default_context(cafile=str(self.authorities_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    def session(self) -> aiohttp.ClientSession:
        """A session that trusts the cluster's authority. Proxy variables do not count: the API server is near."""
        connector: Any = aiohttp.TCPConnector(ssl=self.tls(), limit=CONNECTIONS)
        return aiohttp.ClientSession(connector=connector, trust_env=False)
