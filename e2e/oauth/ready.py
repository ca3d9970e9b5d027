"""Where a sidecar listens."""

from __future__ import annotations

import time

from e2e.sidecars import Sidecar

SECONDS = 10


def inbound_port(sidecar: Sidecar) -> int:
    """Where peers reach it. The line is on its way to the file when the sidecar has said that it is ready."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for line in sidecar.lines():
            if line.get("event") == "ready":
                return int(line["inbound"].rpartition(":")[2])
        time.sleep(0.01)
    raise AssertionError("the sidecar's log has no ready line")
