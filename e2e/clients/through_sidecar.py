"""Runs the conformance client behind a sidecar of its own, whose one Backend is the server that the suite started.

The suite appends that server's URL. What else the scenario's client talks to, such as an authorization server, is
no Backend and passes by `egress: allow`; as it is on this machine, private addresses are opened too. OAuth's
documents beside the MCP endpoint are a plain HTTP Backend.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from e2e import sidecars
from e2e.processes import environment

OPEN = {"privateAddresses": "allow"}
CLIENT = [sys.executable, "-m", "e2e.clients.conformance_client"]


def documents(url: str) -> list[Any]:
    """The Backend at `url`, the rest of its host where the endpoint has a path, and a policy that allows all."""
    place = urlsplit(url)
    assert place.hostname is not None
    assert place.port is not None
    path = place.path or "/"
    backends = [sidecars.backend("subject", place.port, path, host=place.hostname)]
    rules = [sidecars.allow_all("subject")]
    if path != "/":
        backends.append(sidecars.backend("beside", place.port, "/", protocol="HTTP", host=place.hostname))
        rules.append({"backend": "beside"})
    return [*backends, sidecars.policy(*rules, egress="allow")]


def main() -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        sidecars.running(Path(folder), documents(sys.argv[-1]), egress=OPEN) as sidecar,
    ):
        through = environment(HTTP_PROXY=sidecar.proxy)
        return subprocess.run([*CLIENT, sys.argv[-1]], env=through, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
