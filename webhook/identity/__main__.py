"""`python -m webhook.identity --trust-domain T --workload ID=SOCKET ...`: the embedded Workload API by itself.

Prints one JSON line when it serves. SIGHUP rotates every SVID, SIGUSR1 also the authority (the one before stays
in the bundle), SIGUSR2 drops all authorities but the current one, SIGTERM and SIGINT end it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from mesh.identity.bundle_document import write_jwks
from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.spiffe_id import SpiffeId, parse_trust_domain
from webhook.identity.registry import SVID_LIFETIME, Registry, rotate_for_ever
from webhook.identity.workload_api_server import WorkloadApiServer

Workloads = list[tuple[SpiffeId, Path]]


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal; 0 when told to stop, 1 when a socket cannot be had (2 for bad arguments)."""
    options = _parser().parse_args(arguments)
    registry = Registry(
        options.trust_domain,
        lambda: datetime.now(UTC),
        svid_lifetime=timedelta(seconds=options.svid_seconds),
    )
    try:
        asyncio.run(_serve(registry, options.workload))
    except (OSError, SpiffeIdInvalid) as refused:
        print(f"webhook.identity: {refused}", file=sys.stderr)
        return 1
    return 0


async def _serve(registry: Registry, workloads: Workloads) -> None:
    stopped = _stop_on_signal(registry)
    server = WorkloadApiServer(registry)
    try:
        for spiffe_id, path in workloads:
            registry.register(path, spiffe_id)
            await server.serve(path)
        print(json.dumps(_ready(registry, workloads)), flush=True)
        async with asyncio.TaskGroup() as tasks:
            rotation = tasks.create_task(rotate_for_ever(registry), name="rotation")
            await stopped.wait()
            rotation.cancel()
    finally:
        await server.stop()


def _stop_on_signal(registry: Registry) -> asyncio.Event:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGINT, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, registry.rotate)
    loop.add_signal_handler(signal.SIGUSR1, partial(registry.rotate_authority, retire=False))
    loop.add_signal_handler(signal.SIGUSR2, registry.retire_authorities)
    return stopped


def _ready(registry: Registry, workloads: Workloads) -> dict[str, object]:
    return {
        "event": "ready",
        "trustDomain": registry.trust_domain,
        "workloads": {str(spiffe_id): f"unix://{path}" for spiffe_id, path in workloads},
        # For who verifies JWT-SVIDs without being a workload: an authorization server.
        "jwtKeys": json.loads(write_jwks({key.key_id: key.public for key in registry.jwt_keys})),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m webhook.identity", description="SPIFFE Workload API for one machine, without SPIRE."
    )
    parser.add_argument("--trust-domain", required=True, type=_trust_domain, metavar="NAME")
    parser.add_argument(
        "--workload",
        required=True,
        action="append",
        type=_workload,
        metavar="ID=SOCKET",
        help="a SPIFFE ID and the Unix socket that serves it; may be given several times",
    )
    parser.add_argument(
        "--svid-seconds",
        type=int,
        default=int(SVID_LIFETIME.total_seconds()),
        help="lifetime of an SVID; it is renewed at half of that (default: %(default)s)",
    )
    return parser


def _trust_domain(text: str) -> str:
    try:
        return parse_trust_domain(text)
    except SpiffeIdInvalid as invalid:
        raise argparse.ArgumentTypeError(str(invalid)) from invalid


def _workload(text: str) -> tuple[SpiffeId, Path]:
    name, separator, path = text.partition("=")
    if not separator or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not ID=SOCKET")
    try:
        return SpiffeId.parse(name), Path(path).absolute()
    except SpiffeIdInvalid as invalid:
        raise argparse.ArgumentTypeError(str(invalid)) from invalid


if __name__ == "__main__":
    sys.exit(main())
