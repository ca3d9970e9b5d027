"""`outrider policy import`: policies from what other programs are configured with, as far as that is faithful.

What is written never lets pass more than its source did. What has no counterpart is told on standard error with
the reason, and makes the exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass

from cli.inject import label_list
from cli.kubernetes_yaml import dump
from cli.manifests import Manifest, read_manifests, sources
from cli.policy.imported import Imported
from cli.policy.loading import FINE, REFUSED, Misused, guarded
from cli.policy.reading import warn
from cli.policy.routes_import import import_routes
from cli.policy.toolhive_import import import_toolhive
from mesh.policy import load_texts


@dataclass(frozen=True, slots=True)
class Options:
    """What sources do not say. `port` None: nobody said."""

    namespace: str
    labels: dict[str, str]
    port: int | None
    protocol: str
    path: str
    tls: str


_READERS: dict[str, Callable[[list[Manifest], Options], Imported]] = {
    "rossoctl-routes": import_routes,
    "kagenti-routes": import_routes,
    "toolhive": import_toolhive,
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="what to import; folders; - for stdin")
    parser.add_argument("--from", dest="format", required=True, choices=tuple(_READERS), help="what it is")
    parser.add_argument("-n", "--namespace", default="", metavar="NAME", help="where the agents are")
    parser.add_argument(
        "--labels", type=label_list, default={}, metavar="KEY=VALUE,…", help="of the agents (default: any)"
    )
    routes = parser.add_argument_group("routes, which say neither")
    routes.add_argument("--port", type=int, metavar="PORT", help="of the hosts")
    routes.add_argument("--protocol", choices=("MCP", "HTTP"), default="HTTP", help="(default: HTTP)")
    routes.add_argument("--path", default="/", metavar="PATH", help="(default: /)")
    routes.add_argument(
        "--tls", choices=("Public", "None"), default="None", help="tls.mode of the Backends (default: None)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Import; 0, 1 when something could not be mapped, 2 when the input is wrong."""
    return guarded(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    manifests = [one for source, text in sources(arguments.files) for one in read_manifests(text, source)]
    options = Options(
        arguments.namespace,
        arguments.labels,
        arguments.port,
        arguments.protocol,
        arguments.path,
        arguments.tls,
    )
    found = _READERS[arguments.format](manifests, options)
    text = "---\n".join(dump(document) for document in found.documents)
    load_texts([("imported", text)])  # what is written is valid, or not written at all
    sys.stdout.write(text)
    for note in found.notes:
        warn(f"note: {note}")
    for left in found.left_out:
        warn(f"not mapped: {left}")
    if not found.documents:
        raise Misused(f"nothing in {', '.join(arguments.files)} could be mapped")
    return REFUSED if found.left_out else FINE
