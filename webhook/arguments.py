"""The command line of the control plane."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.spiffe_id import parse_trust_domain
from mesh.settings import installation as names

TRUST_DOMAIN = "cluster.local"
ENV_NAMESPACE = "OUTRIDER_NAMESPACE"
ENV_POD_NAME = "OUTRIDER_POD_NAME"


def parse(arguments: list[str] | None, environment: Mapping[str, str]) -> argparse.Namespace:
    """The flags, with what the environment says where they are absent; ends the process where they are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m webhook", description="Serve Outrider's admission webhook."
    )
    _serving(parser)
    _control(parser)
    _certificates(parser, environment)
    given = parser.parse_args(arguments)
    if given.certificates is None:
        given.certificates = "files" if given.cert else "self"
    if given.certificates == "files" and not (given.cert and given.key):
        parser.error("--certificates files needs --cert and --key")
    if given.certificates == "self" and (given.cert or given.key):
        parser.error("--cert and --key belong to --certificates files")
    if given.certificates == "self" and not (given.namespace and given.identity):
        parser.error(f"--namespace and --identity, or {ENV_NAMESPACE} and {ENV_POD_NAME}, are needed")
    if given.control_port and not (given.namespace and given.identity):
        parser.error(
            f"--control-port needs --namespace and --identity, or {ENV_NAMESPACE} and {ENV_POD_NAME}"
        )
    if given.federation_port and not given.control_port:
        parser.error("--federation-port needs --control-port: it serves what the CA of that port signs with")
    if bool(given.federation_cert) != bool(given.federation_key):
        parser.error("--federation-cert and --federation-key belong together")
    return given


def _serving(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--settings", type=Path, metavar="FILE", help="the platform's settings, YAML")
    add("--host", default="", help="address to bind (default: every one)")
    add("--port", type=int, default=10250, help="port of the webhook, TLS (default: %(default)s)")
    add(
        "--telemetry-port",
        type=int,
        default=15020,
        metavar="PORT",
        help="port of /healthz, /readyz and /metrics, without TLS (default: %(default)s)",
    )
    add(
        "--drain",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="serve on after SIGTERM (default: %(default)s)",
    )


def _control(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("sidecars").add_argument
    add(
        "--control-port",
        type=int,
        default=0,
        metavar="PORT",
        help="port by which sidecars get identity and configuration, TLS (default: none)",
    )
    add(
        "--trust-domain",
        type=_trust_domain,
        default=TRUST_DOMAIN,
        metavar="NAME",
        help="of all identities (default: %(default)s)",
    )
    add(
        "--federation-port",
        type=int,
        default=0,
        metavar="PORT",
        help="port of the bundle endpoint for other trust domains, TLS (default: none)",
    )
    add(
        "--federation-cert",
        type=Path,
        metavar="FILE",
        help="serve it by https_web, with this chain, PEM (default: by https_spiffe, with our own SVID)",
    )
    add("--federation-key", type=Path, metavar="FILE", help="the key of --federation-cert, PEM")


def _certificates(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    add = parser.add_argument
    add("--certificates", choices=("self", "files"), help="default: files where --cert is given, else self")
    files = parser.add_argument_group("certificates: files")
    files.add_argument("--cert", type=Path, metavar="FILE", help="certificate chain, PEM")
    files.add_argument("--key", type=Path, metavar="FILE", help="its private key, PEM")
    files.add_argument(
        "--reload",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how often to look at the files (default: %(default)s)",
    )
    own = parser.add_argument_group("certificates: self").add_argument
    own(
        "--namespace",
        default=environment.get(ENV_NAMESPACE),
        metavar="NAME",
        help=f"default: {ENV_NAMESPACE}",
    )
    own("--identity", default=environment.get(ENV_POD_NAME), metavar="NAME", help=f"default: {ENV_POD_NAME}")
    own("--service", default=names.WEBHOOK, metavar="NAME", help="default: %(default)s")
    own("--secret", default=names.WEBHOOK_SECRET, metavar="NAME", help="default: %(default)s")
    own("--lease", default=names.WEBHOOK, metavar="NAME", help="default: %(default)s")
    own("--mutating", default=names.INJECTOR, metavar="NAME", help="default: %(default)s")
    own("--validating", default=names.VALIDATOR, metavar="NAME", help="default: %(default)s")
    own(
        "--authority-lifetime",
        type=_seconds,
        default=timedelta(days=365),
        metavar="SECONDS",
        help="default: 1 year",
    )
    own(
        "--leaf-lifetime", type=_seconds, default=timedelta(days=7), metavar="SECONDS", help="default: 7 days"
    )
    own(
        "--announce",
        type=_seconds,
        default=timedelta(seconds=60),
        metavar="SECONDS",
        help="how long a new authority is published before it signs (default: 60)",
    )


def _trust_domain(text: str) -> str:
    try:
        return parse_trust_domain(text)
    except SpiffeIdInvalid as invalid:
        raise argparse.ArgumentTypeError(str(invalid)) from invalid


def _seconds(text: str) -> timedelta:
    return timedelta(seconds=float(text))
