"""Our control plane for one machine, with what an authorization server asks it: who our workloads are.

    python -m e2e.keycloak.control_plane --trust-domain mesh.test --folder F --issuer-keys F/issuer.json

One HTTPS port has the CA's calls (SVIDs for ServiceAccounts), the configuration stream from `F/documents`, the
SPIFFE bundle endpoint, and OpenID Connect's discovery and keys. In a cluster they are two ports of one process.
Prints one JSON line when it serves; `root.pem` in `F/serving` vouches for it. SIGUSR1 replaces all keys at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from mesh.identity.bundle_document import jwt_keys_of
from mesh.policy.load import read_object_alone
from mesh.settings.installation import CONTROL_AUDIENCE
from webhook.admission.metrics import AdmissionMetrics
from webhook.admission.serving_tls import ServingCertificate
from webhook.distribution.folder import Folder
from webhook.distribution.hub import Hub
from webhook.distribution.judging import judge
from webhook.distribution.offers import Domains
from webhook.distribution.stream import ConfigurationStreams
from webhook.distribution.world import World
from webhook.identity.application import control_application, control_runner
from webhook.identity.authorities import InMemory, quick_times
from webhook.identity.ca_server import CaServer
from webhook.identity.federation.endpoint import federation_application
from webhook.identity.local_reviewer import LocalReviewer
from webhook.identity.oidc import Discovery
from webhook.identity.proofs import Proofs
from webhook.identity.rate_limit import RateLimit
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, make_serving_files
from webhook.timed_site import TimedSite

SERVICE_ACCOUNTS = "https://cluster.test"
"""`iss` of the ServiceAccount tokens that prove workloads."""
PER_MINUTE = 6000.0
REFRESH_SECONDS = 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trust-domain", required=True)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--issuer-keys", required=True, type=Path)
    parser.add_argument("--port", required=True, type=int)
    asyncio.run(_serve(parser.parse_args()))


async def _serve(options: argparse.Namespace) -> None:
    folder: Path = options.folder
    (folder / "documents").mkdir(exist_ok=True)
    issuer = f"https://localhost:{options.port}"
    authorities = InMemory(options.trust_domain, _now, quick_times())
    keys = jwt_keys_of(json.loads(options.issuer_keys.read_bytes())["keys"])
    reviewer = LocalReviewer(SERVICE_ACCOUNTS, CONTROL_AUDIENCE, keys, _now)
    limit = RateLimit(time.monotonic, per_minute=PER_MINUTE)
    ca = CaServer(authorities, limit=limit, audit=_log, clock=_now, issuer=issuer)
    discovery = Discovery(authorities, issuer)
    application = control_application(Proofs(authorities, reviewer, _now), _log, ca=ca, discovery=discovery)
    for route in federation_application(authorities, REFRESH_SECONDS).router.routes():
        application.router.add_route(route.method, route.resource.canonical, route.handler)
    runner = control_runner(application)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await stack.enter_async_context(_distributing(application, folder, options.trust_domain))
        await runner.setup()
        context = _certificate(folder / "serving").context
        await TimedSite(runner, "127.0.0.1", options.port, ssl_context=context).start()
        print(json.dumps({"port": options.port}), flush=True)
        await _until_signal(authorities)


@contextlib.asynccontextmanager
async def _distributing(application: web.Application, folder: Path, trust_domain: str) -> AsyncIterator[None]:
    """As `python -m webhook.distribution` serves configurations."""
    world = World(Domains(trust_domain, "cluster.local"), read_object_alone, judge)
    hub = Hub(world, AdmissionMetrics())
    documents = Folder(folder / "documents", world, _log)
    documents.serve(hub)
    documents.look()
    ConfigurationStreams(hub, _log).add_to(application)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(documents.run()), group.create_task(hub.run())]
        try:
            yield
        finally:
            hub.stop()
            for task in tasks:
                task.cancel()


async def _until_signal(authorities: InMemory) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGINT, stopped.set)
    loop.add_signal_handler(signal.SIGUSR1, authorities.replace_now)
    await stopped.wait()


def _certificate(folder: Path) -> ServingCertificate:
    if not (folder / CERT_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        make_serving_files(folder, ["localhost", "127.0.0.1"], _now(), timedelta(days=1))
    return ServingCertificate(folder / CERT_FILE, folder / KEY_FILE)


def _log(record: Mapping[str, object]) -> None:
    print(json.dumps(dict(record)), file=sys.stderr, flush=True)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
