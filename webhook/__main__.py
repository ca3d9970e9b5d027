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

from webhook.admission.namespaces import (
    ApiServer,
    NamespaceLookup,
    api_fetch,
    cached,
    fixed_lookup,
    read_session,
)
from webhook.admission.run import Serving, serve, stop_on_signal
from webhook.admission.server import AdmissionServer, json_line
from webhook.admission.serving_tls import CertificateUnusable
from webhook.admission.settings_file import SettingsFile, SettingsInvalid, parse_settings

INVALID = 2


def _arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m webhook", description="Serve Outrider's admission webhook."
    )
    parser.add_argument("--cert", type=Path, required=True, metavar="FILE", help="certificate chain, PEM")
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="its private key, PEM")
    parser.add_argument("--host", default="", help="address to bind (default: every one)")
    parser.add_argument("--port", type=int, default=10250, help="port to bind (default: %(default)s)")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="the platform's settings, YAML")
    parser.add_argument(
        "--drain",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="serve on after SIGTERM (default: %(default)s)",
    )
    parser.add_argument(
        "--reload",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how often to look at the certificate's files (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and serve."""
    given = _arguments(arguments)
    serving = Serving(
        given.cert, given.key, given.host, given.port, reload_interval=given.reload, drain=given.drain
    )
    path: Path | None = given.settings
    try:
        text = path.read_text(encoding="utf-8") if path else ""
        settings = parse_settings(text, str(path))
        return asyncio.run(_serve(settings, serving))
    except (SettingsInvalid, CertificateUnusable, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return INVALID


async def _serve(settings: SettingsFile, serving: Serving) -> int:
    async with contextlib.AsyncExitStack() as stack:
        look_up: NamespaceLookup
        if settings.namespaces is not None:
            look_up = fixed_lookup(settings.namespaces)
        else:
            cluster = ApiServer.of_cluster(os.environ)
            if cluster is None:
                print(_NO_CLUSTER, file=sys.stderr)
                return INVALID
            session = await stack.enter_async_context(read_session(cluster))
            look_up = cached(api_fetch(session, cluster), time.monotonic)
        server = AdmissionServer(settings.injection, look_up, _log)
        stop = await stack.enter_async_context(stop_on_signal())
        await serve(server, serving, stop)
    return 0


_NO_CLUSTER = (
    "Nothing says how namespaces are labelled: this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set), "
    "and the settings file has no namespaces."
)


def _log(entry: dict[str, object]) -> None:
    print(json_line(entry), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
