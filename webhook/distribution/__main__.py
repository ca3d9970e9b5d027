"""`python -m webhook.distribution --documents DIR ...`: a control plane without a cluster, for one machine.

Serves configurations from a folder of YAML files (see folder), and is the mesh's CA as `python -m
webhook.identity.ca` is, whose options it takes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from mesh.policy.load import read_object_alone
from webhook.admission.metrics import AdmissionMetrics
from webhook.distribution.folder import Folder
from webhook.distribution.hub import Hub
from webhook.distribution.judging import judge
from webhook.distribution.offers import Domains
from webhook.distribution.stream import ConfigurationStreams
from webhook.distribution.world import World
from webhook.identity import ca


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal; 0 when told to stop, 1 when something that it needs cannot be had."""
    parser = ca.make_parser("python -m webhook.distribution", "A control plane for one machine.")
    parser.add_argument(
        "--documents", required=True, type=Path, metavar="DIR", help="policies, Backends, Services and Pods"
    )
    parser.add_argument(
        "--cluster-domain", default="cluster.local", metavar="NAME", help="default: %(default)s"
    )
    options = parser.parse_args(arguments)
    if not options.documents.is_dir():
        parser.error(f"{options.documents} is no folder")
    return ca.run(options, lambda application: _distributing(application, options))


@contextlib.asynccontextmanager
async def _distributing(application: web.Application, options: argparse.Namespace) -> AsyncIterator[None]:
    """Serve configurations in `application` for as long as the block lasts."""
    world = World(Domains(options.trust_domain, options.cluster_domain), read_object_alone, judge)
    hub = Hub(world, AdmissionMetrics())
    folder = Folder(options.documents, world, _log)
    folder.serve(hub)
    folder.look()
    ConfigurationStreams(hub, _log).add_to(application)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(folder.run()), group.create_task(hub.run())]
        try:
            yield
        finally:
            hub.stop()
            for task in tasks:
                task.cancel()


def _log(entry: dict[str, object]) -> None:
    print(json.dumps(entry), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
