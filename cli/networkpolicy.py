"""`outrider networkpolicy`: a NetworkPolicy that leaves only the mesh's ports of injected pods open.

Admission cannot make it: a webhook answers for the one object that it is asked about. Explicit capture needs it,
because nothing else keeps others from an application's own ports; egress stays as it is, since a NetworkPolicy
sees pods and cannot tell an agent from its sidecar.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import Any

from cli import platform_settings
from cli.cluster import connect
from cli.cluster.connect import BAD_INPUT
from cli.kubernetes_yaml import dump
from cli.manifests import ManifestInvalid
from cli.platform_settings import Platform, read_file, read_live
from mesh.settings.table import POD_INJECTED
from webhook.admission.settings import InjectionSettings
from webhook.admission.settings_file import SettingsInvalid

NAME = "outrider-mesh-ports-only"
# A namespace's name is a DNS label (RFC 1123).
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "-n",
        "--namespace",
        type=_namespace,
        required=True,
        help="the namespace whose injected pods it is for",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        help="take the ports from the cluster's installation",
    )
    platform_settings.configure(parser)
    connect.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print it, and whose ports these are; 0, 2 when the settings cannot be read."""
    try:
        if arguments.live:
            return connect.asking(
                arguments, lambda connection: _print(arguments, read_live(connection, arguments.settings))
            )
        return _print(arguments, read_file(arguments.settings))
    except (ManifestInvalid, SettingsInvalid) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT


def _print(arguments: argparse.Namespace, platform: Platform) -> int:
    other = "" if arguments.live or arguments.settings else " (--live takes the cluster's)"
    print(f"outrider: the ports are those of {platform.whose}{other}", file=sys.stderr)
    sys.stdout.write(dump(network_policy(arguments.namespace, platform.file.injection)))
    return 0


def network_policy(namespace: str, settings: InjectionSettings) -> dict[str, Any]:
    """The manifest, of networking.k8s.io/v1. Pods are told by the label that admission writes, and nobody else."""
    ports = (settings.ports.inbound, settings.ports.telemetry)
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": {POD_INJECTED.name: POD_INJECTED.values.allowed}},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"protocol": "TCP", "port": port} for port in ports]}],
        },
    }


def _namespace(text: str) -> str:
    if not _NAMESPACE.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a namespace")
    return text
