"""A SPIRE server of one trust domain on loopback, and the few things that tests tell it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from e2e.spire.binaries import binaries
from e2e.spire.daemon import Daemon, free_port
from e2e.spire.node import Node
from mesh.identity.ca import Authority

COMMAND_SECONDS = 20


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long what the server issues is valid, in SPIRE's notation.

    SPIRE has no lower bound. It dates certificates ten seconds back, and an agent renews at about half of what
    lies between both dates: 14 s of life are renewed every two to three seconds.
    """

    authority: str = "24h"
    x509_svid: str = "1h"
    jwt_svid: str = "5m"


class Server(Daemon):
    """`root`: an authority of ours above the server's own, so that a test holds a key of this domain."""

    def __init__(
        self, folder: Path, domain: str, node: Node, lifetimes: Lifetimes, root: Authority | None = None
    ) -> None:
        folder.mkdir(parents=True)
        self.domain = domain
        self.port, self.bundle_port = free_port(), free_port()
        self.socket = folder / "server.sock"
        self._folder = folder
        upstream = _upstream(folder, root) if root else ""
        configuration = folder / "server.conf"
        configuration.write_text(
            f"""
server {{
  bind_address = "127.0.0.1"
  bind_port = {self.port}
  socket_path = "{self.socket}"
  trust_domain = "{domain}"
  data_dir = "{folder}"
  log_level = "INFO"
  ca_key_type = "ec-p256"
  ca_ttl = "{lifetimes.authority}"
  default_x509_svid_ttl = "{lifetimes.x509_svid}"
  default_jwt_svid_ttl = "{lifetimes.jwt_svid}"
  experimental {{ cache_reload_interval = "500ms" }}
  federation {{ bundle_endpoint {{ address = "127.0.0.1" port = {self.bundle_port} }} }}
}}
plugins {{
  DataStore "sql" {{
    plugin_data {{ database_type = "sqlite3" connection_string = "{folder}/entries.sqlite3" }}
  }}
  KeyManager "memory" {{ plugin_data {{}} }}
  NodeAttestor "x509pop" {{ plugin_data {{ ca_bundle_path = "{node.authority_file}" }} }}
  {upstream}
}}
""",
            encoding="utf-8",
        )
        super().__init__([binaries().server, "run", "-config", configuration], folder / "server.log")

    def start(self) -> None:
        """Start, and wait until the server answers on its socket."""
        super().start()
        self.until(lambda: self.socket.exists() or None, "no socket")
        self.until(self._healthy, "not healthy")

    def bundle(self) -> str:
        """The domain's bundle as a SPIFFE bundle document."""
        return self.tell("bundle", "show", "-format", "spiffe")

    def trust(self, other: Server) -> None:
        """Federate with the domain of `other`, whose bundle endpoint proves itself with its SVID."""
        first = self._folder / f"{other.domain}.bundle"
        first.write_text(other.bundle(), encoding="utf-8")
        self.tell(
            "federation",
            "create",
            *("-trustDomain", other.domain),
            *("-bundleEndpointURL", f"https://127.0.0.1:{other.bundle_port}"),
            *("-bundleEndpointProfile", "https_spiffe"),
            *("-endpointSpiffeID", f"spiffe://{other.domain}/spire/server"),
            *("-trustDomainBundlePath", str(first)),
            *("-trustDomainBundleFormat", "spiffe"),
        )

    def refresh(self, other: Server) -> None:
        """Fetch the bundle of `other` from its endpoint now."""
        self.tell("federation", "refresh", "-id", other.domain)

    def register(self, spiffe_id: str, node: Node, *selectors: str, federated: tuple[str, ...] = ()) -> None:
        """Let workloads with all of these selectors on that node have this ID."""
        options = [word for selector in selectors for word in ("-selector", selector)]
        options += [word for domain in federated for word in ("-federatesWith", f"spiffe://{domain}")]
        parent = f"spiffe://{self.domain}{node.path}"
        self.tell("entry", "create", "-parentID", parent, "-spiffeID", spiffe_id, *options)

    def tell(self, *words: str) -> str:
        """Run one of the server's own commands; returns what it printed. Raises CalledProcessError."""
        command = [binaries().server, *words, "-socketPath", self.socket]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False)
        if done.returncode:
            raise AssertionError(
                f"{' '.join(words[:2])} failed: {done.stdout}{done.stderr}\n{self.text()[-2000:]}"
            )
        return done.stdout

    def _healthy(self) -> bool | None:
        command = [binaries().server, "healthcheck", "-socketPath", self.socket]
        asked = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=False)
        return True if asked.returncode == 0 else None


def _upstream(folder: Path, root: Authority) -> str:
    certificate, key = folder / "root.pem", folder / "root.key"
    certificate.write_bytes(root.certificate.public_bytes(Encoding.PEM))
    key.write_bytes(root.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files = f'cert_file_path = "{certificate}" key_file_path = "{key}"'
    return f'UpstreamAuthority "disk" {{ plugin_data {{ {files} }} }}'
