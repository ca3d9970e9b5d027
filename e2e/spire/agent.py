"""A SPIRE agent: attests itself as a node, and the processes that ask it by what the kernel says of them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from e2e.spire.binaries import binaries
from e2e.spire.daemon import Daemon
from e2e.spire.node import Node
from e2e.spire.server import COMMAND_SECONDS, Server


class Agent(Daemon):
    """The Workload API of one node at `endpoint`."""

    def __init__(self, folder: Path, server: Server, node: Node) -> None:
        folder.mkdir(parents=True)
        self.socket = folder / "agent.sock"
        self._server = server
        self._bundle = folder / "bundle.json"
        configuration = folder / "agent.conf"
        configuration.write_text(
            f"""
agent {{
  data_dir = "{folder}"
  socket_path = "{self.socket}"
  server_address = "127.0.0.1"
  server_port = {server.port}
  trust_domain = "{server.domain}"
  trust_bundle_path = "{self._bundle}"
  trust_bundle_format = "spiffe"
  log_level = "INFO"
  experimental {{ sync_interval = "500ms" }}
}}
plugins {{
  KeyManager "memory" {{ plugin_data {{}} }}
  NodeAttestor "x509pop" {{
    plugin_data {{ private_key_path = "{node.key_file}" certificate_path = "{node.certificate_file}" }}
  }}
  WorkloadAttestor "unix" {{ plugin_data {{ discover_workload_path = true }} }}
}}
""",
            encoding="utf-8",
        )
        super().__init__([binaries().agent, "run", "-config", configuration], folder / "agent.log")

    @property
    def endpoint(self) -> str:
        """What SPIFFE_ENDPOINT_SOCKET would be."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start with the server's bundle of now, and wait until the agent answers."""
        self._bundle.write_text(self._server.bundle(), encoding="utf-8")
        super().start()
        self.until(lambda: self.socket.exists() or None, "no socket")
        self.until(self._healthy, "not healthy")

    def _healthy(self) -> bool | None:
        command = [binaries().agent, "healthcheck", "-socketPath", self.socket]
        asked = subprocess.run(command, capture_output=True, timeout=COMMAND_SECONDS, check=False)
        return True if asked.returncode == 0 else None
