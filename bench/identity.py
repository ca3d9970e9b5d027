"""The embedded Workload API, from which the sidecar takes its identity as it does in a pod.

It issues with the authority of the run, so that the sidecar and the other proxies are of one trust domain.
Run as a process of its own: `python -m bench.identity FOLDER`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.process import Command, Process, ProcessFailed
from bench.trust import AGENT, LIFETIME, TRUST_DOMAIN, load_authority
from mesh.identity.spiffe_id import SpiffeId

SOCKET = "agent.sock"


@contextmanager
def serving(folder: Path, core: int, leave_out: Callable[[str], None]) -> Iterator[str]:
    """Serve the agent's SVID on a Unix socket while the context lasts; yields its address.

    Where the server cannot be had that is said, and what needs an identity will not start.
    """
    process = Process(
        Command([sys.executable, "-m", "bench.identity", str(folder)]), core=core, log=folder / "identity.log"
    )
    with process:
        try:
            process.wait_for_path(folder / SOCKET)
        except ProcessFailed as failure:
            leave_out(f"the Workload API, without which the sidecar has no mutual TLS: {failure}")
        yield f"unix://{folder / SOCKET}"


async def serve(folder: Path) -> None:
    """Serve until cancelled."""
    # Imported here, because only this process needs grpc.
    from webhook.identity.registry import Registry
    from webhook.identity.workload_api_server import WorkloadApiServer

    registry = Registry(TRUST_DOMAIN, lambda: datetime.now(UTC), svid_lifetime=LIFETIME)
    registry.authorities = (load_authority(folder),)
    registry.register(folder / SOCKET, SpiffeId.parse(AGENT))
    server = WorkloadApiServer(registry)
    await server.serve(folder / SOCKET)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
