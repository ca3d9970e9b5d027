"""Whether this sidecar has credentials at all: says so in place of a hundred failures."""

from __future__ import annotations

from dataclasses import fields

from e2e import sidecars
from sidecar.settings import SidecarConfig


def missing() -> str | None:
    """Why the sidecar cannot own credentials here, or None."""
    if reason := sidecars.missing():
        return reason
    known = {each.name for each in fields(SidecarConfig)}
    return None if "credentials" in known else "the sidecar's configuration has no section credentials"
