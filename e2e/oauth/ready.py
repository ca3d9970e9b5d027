"""Whether this sidecar owns credentials: says so once in place of a hundred failures."""

from __future__ import annotations

from e2e import sidecars
from e2e.processes import ROOT

SOURCES = "sidecar.credentials.sources"


def missing() -> str | None:
    """Why the sidecar cannot own credentials here, or None."""
    if reason := sidecars.missing():
        return reason
    program = ROOT / "sidecar"
    callers = [*program.glob("*.py"), *(program / "proxy").glob("*.py")]
    if any(SOURCES in module.read_text(encoding="utf-8") for module in callers):
        return None
    return "the sidecar puts no credentials into requests"
