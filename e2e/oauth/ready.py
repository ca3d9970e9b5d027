"""Whether this sidecar owns credentials, said once in place of a hundred failures; and where it listens."""

from __future__ import annotations

import time

from e2e import sidecars
from e2e.processes import ROOT
from e2e.sidecars import Sidecar

SECONDS = 10
SOURCES = "sidecar.credentials.assembly"


def missing() -> str | None:
    """Why the sidecar cannot own credentials here, or None."""
    if reason := sidecars.missing():
        return reason
    program = ROOT / "sidecar"
    callers = program.glob("*.py")
    if any(SOURCES in module.read_text(encoding="utf-8") for module in callers):
        return None
    return "the sidecar puts no credentials into requests"


def inbound_port(sidecar: Sidecar) -> int:
    """Where peers reach it. The line is on its way to the file when the sidecar has said that it is ready."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        for line in sidecar.lines():
            if line.get("event") == "ready":
                return int(line["inbound"].rpartition(":")[2])
        time.sleep(0.01)
    raise AssertionError("the sidecar's log has no ready line")
