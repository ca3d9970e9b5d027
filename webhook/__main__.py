"""`python -m webhook`: serve admission over TLS until SIGTERM.

Exit 0 after a drain, 2 when the settings, the certificate or the address cannot be used. Log lines are JSON on
stderr; the one with `"event":"ready"` tells the bound addresses.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

import uvloop

from webhook import arguments as command_line
from webhook.admission.namespaces import fixed_lookup
from webhook.admission.run import Beside, Serving, serve, stop_on_signal
from webhook.admission.server import AdmissionServer, json_line
from webhook.admission.serving_tls import CertificateUnusable, SwitchedCertificate
from webhook.admission.settings_file import SettingsFile, SettingsInvalid, parse_settings
from webhook.certificates.issue import Lifetimes
from webhook.cluster.client import ApiClient
from webhook.cluster.server import ApiServer
from webhook.control import ControlPorts, control_plane
from webhook.distribution.plane import Place
from webhook.leadership import Candidate
from webhook.parts import Parts
from webhook.plane import Names, Plane, lone_candidate, self_certificates
from webhook.readiness import Readiness

INVALID = 2


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and serve."""
    given = command_line.parse(arguments, os.environ)
    path: Path | None = given.settings
    try:
        text = path.read_text(encoding="utf-8") if path else ""
        settings = parse_settings(text, str(path))
        lifetimes = Lifetimes(given.authority_lifetime, given.leaf_lifetime, given.announce)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_serve(given, settings, lifetimes))
    except (SettingsInvalid, CertificateUnusable, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return INVALID


async def _serve(given: argparse.Namespace, settings: SettingsFile, lifetimes: Lifetimes) -> int:
    api_server = ApiServer.of_cluster(os.environ)
    needed = settings.namespaces is None or given.certificates == "self" or given.control_port
    if api_server is None and needed:
        print(_NO_CLUSTER, file=sys.stderr)
        return INVALID
    async with contextlib.AsyncExitStack() as stack:
        server = AdmissionServer(settings.injection, fixed_lookup(settings.namespaces or {}), _log)
        parts = Parts(server)
        if api_server is not None:
            session = await stack.enter_async_context(api_server.session())
            plane = Plane(ApiClient(session, api_server), server.metrics, _log)
            parts.add_cluster(plane, namespaces=settings.namespaces is None)
        certificate = SwitchedCertificate()
        candidate: Candidate | None = None
        if given.certificates == "files":
            certificate = parts.add_files(given.cert, given.key, given.reload)
        else:
            domain = settings.injection.cluster_domain
            own = self_certificates(plane, _names(given), certificate, domain, lifetimes)
            candidate = own.candidate
            parts.add_own(own)
        if given.control_port:
            web = (given.federation_cert, given.federation_key) if given.federation_cert else None
            ports = ControlPorts(given.control_port, given.federation_port, web)
            place = Place(given.namespace, given.identity)
            if candidate is None:
                candidate = parts.add_candidate(lone_candidate(plane, _names(given)))
            parts.add_control(
                control_plane(
                    plane, server, settings, place, given.trust_domain, ports, candidate, given.drain
                )
            )
        server.problems = Readiness(parts.problems, time.monotonic).problems
        stop = await stack.enter_async_context(stop_on_signal())
        serving = Serving(given.host, given.port, given.telemetry_port, drain=given.drain)
        await serve(server, serving, certificate, stop, Beside(parts.tasks, parts.leave, parts.listeners))
    return 0


def _names(given: argparse.Namespace) -> Names:
    return Names(**{name: getattr(given, name) for name in Names.__slots__})


_NO_CLUSTER = (
    "This is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set): --certificates files and namespaces in the "
    "settings file are needed, and there is no control port."
)


def _log(entry: dict[str, object]) -> None:
    print(json_line(entry), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
