"""`python -m webhook.identity.ca --trust-domain T --issuer I --issuer-keys F ...`: a CA for the mesh by itself.

For one machine and for tests: its keys are in memory only, so a restart begins anew. Prints one JSON line when it
serves, audit lines go to standard error. SIGHUP announces a new authority, SIGUSR1 replaces all keys at once (for
keys that leaked), SIGTERM and SIGINT end it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uvloop
from aiohttp import web

from mesh.identity.bundle_document import BundleDocument, jwt_keys_of, read_bundle_document
from mesh.identity.errors import IdentityInvalid
from mesh.identity.jws import PublicKey
from mesh.identity.spiffe_id import parse_trust_domain
from mesh.protocol.strict_json import JsonRefused, parse
from mesh.settings.installation import CONTROL_AUDIENCE
from webhook.admission.serving_tls import CertificateUnusable, ServingCertificate
from webhook.identity.application import control_application, control_runner
from webhook.identity.asking_certificate import AskingCertificate
from webhook.identity.authorities import InMemory, quick_times
from webhook.identity.ca_server import REFRESH_SECONDS, CaServer
from webhook.identity.local_reviewer import LocalReviewer
from webhook.identity.proofs import Proofs
from webhook.identity.rate_limit import RateLimit
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, make_serving_files
from webhook.timed_site import TimedSite

RELOAD_SECONDS = 30.0
SERVING_LIFETIME = timedelta(days=365)
_GET_KEYS = "Those of a cluster: kubectl get --raw /openid/v1/jwks > FILE"

Extend = Callable[[web.Application], contextlib.AbstractAsyncContextManager[None]]
"""Adds routes to the application, and runs what they need."""


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal; 0 when told to stop, 1 when something that it needs cannot be had."""
    parser = make_parser(
        "python -m webhook.identity.ca", "The mesh's CA by itself: SVIDs for ServiceAccounts."
    )
    return run(parser.parse_args(arguments))


def run(options: argparse.Namespace, extend: Extend = lambda _application: contextlib.nullcontext()) -> int:
    """Serve as `options` say until a signal, and what `extend` adds to the application; the exit code."""
    try:
        # Not asyncio's own loop, which holds a quarter of a megabyte for each connection with TLS.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(options, extend))
    except (
        OSError,
        ValueError,
        JsonRefused,
        CertificateUnusable,
    ) as refused:  # IdentityInvalid is a ValueError
        print(f"{options.program}: {refused}", file=sys.stderr)
        return 1
    return 0


async def _serve(options: argparse.Namespace, extend: Extend) -> None:
    ahead = timedelta(seconds=options.ahead_seconds)
    times = quick_times(
        timedelta(seconds=options.authority_seconds), timedelta(seconds=options.svid_seconds), ahead
    )
    authorities = InMemory(options.trust_domain, _now, times)
    reviewer = LocalReviewer(options.issuer, options.audience, _issuer_keys(options.issuer_keys), _now)
    federated = dict(options.federate)
    server = CaServer(
        authorities,
        limit=RateLimit(time.monotonic, per_minute=options.per_minute),
        audit=_audit,
        clock=_now,
        federated=lambda: federated,
        refresh_seconds=options.refresh_seconds,
    )
    try:
        certificate = _serving_certificate(options.serving, options.name, authorities)
    except (OSError, CertificateUnusable) as unusable:
        raise ValueError(f"--serving: {unusable}") from unusable
    application = control_application(Proofs(authorities, reviewer, _now), _audit, ca=server)
    runner = control_runner(application)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await stack.enter_async_context(extend(application))
        await runner.setup()
        host, _, port = options.listen.rpartition(":")
        try:
            site = TimedSite(runner, host, int(port), ssl_context=certificate.context)
            await site.start()
        except (OSError, ValueError) as unusable:
            raise ValueError(f"--listen {options.listen}: {unusable}") from unusable
        _announce(options.trust_domain, host, runner)
        await _until_signal(authorities, certificate)


async def _until_signal(authorities: InMemory, certificate: ServingCertificate) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    loop.add_signal_handler(signal.SIGINT, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, authorities.announce)
    loop.add_signal_handler(signal.SIGUSR1, authorities.replace_now)
    while not stopped.is_set():
        try:
            async with asyncio.timeout(RELOAD_SECONDS):
                await stopped.wait()
        except TimeoutError:
            _reload(certificate)


def _reload(certificate: ServingCertificate) -> None:
    try:
        certificate.reload()
    except CertificateUnusable as unusable:
        _audit({"event": "serving_certificate", "detail": str(unusable)})


def _serving_certificate(folder: Path, names: list[str], authorities: InMemory) -> ServingCertificate:
    """The one in `folder`, made when there is none; raises CertificateUnusable, OSError."""
    if not (folder / CERT_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        make_serving_files(folder, names or ["localhost", "127.0.0.1", "::1"], _now(), SERVING_LIFETIME)

    def roots() -> tuple[bytes, ...]:
        return tuple(authorities.bundle().x509.authorities_der)

    return AskingCertificate(folder / CERT_FILE, folder / KEY_FILE, roots)


def _issuer_keys(path: Path) -> Mapping[str, PublicKey]:
    try:
        value = parse(path.read_bytes()).value
    except (OSError, JsonRefused) as unusable:
        raise ValueError(f"--issuer-keys: {path} cannot be read: {unusable}. {_GET_KEYS}") from unusable
    keys = value.get("keys") if isinstance(value, dict) else None
    found = jwt_keys_of(keys) if isinstance(keys, list) else {}
    if not found:
        raise ValueError(
            f"--issuer-keys: {path} holds no keys of an issuer (a JWKS document with kid, RSA or EC). {_GET_KEYS}"
        )
    return found


def _announce(trust_domain: str, host: str, runner: web.AppRunner) -> None:
    port = runner.addresses[0][1]
    print(
        json.dumps({"event": "ready", "trustDomain": trust_domain, "url": f"https://{host}:{port}"}),
        flush=True,
    )


def _audit(record: Mapping[str, object]) -> None:
    print(json.dumps(record), file=sys.stderr, flush=True)


def _now() -> datetime:
    return datetime.now(UTC)


def make_parser(program: str, description: str) -> argparse.ArgumentParser:
    """The options of a CA by itself."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.set_defaults(program=program)
    add = parser.add_argument
    add("--trust-domain", required=True, type=_trust_domain, metavar="NAME")
    add("--listen", default="127.0.0.1:8444", metavar="HOST:PORT", help="default: %(default)s")
    add("--issuer", required=True, help="iss of the ServiceAccount tokens")
    add("--issuer-keys", required=True, type=Path, metavar="FILE", help="the issuer's keys, as JWKS")
    add("--audience", default=CONTROL_AUDIENCE, help="aud of the tokens (default: %(default)s)")
    add(
        "--serving",
        required=True,
        type=Path,
        metavar="DIR",
        help=f"{CERT_FILE} and {KEY_FILE}; made if missing",
    )
    add("--name", action="append", default=[], help="a name for a certificate that is made")
    add("--federate", action="append", default=[], type=_federated, metavar="NAME=FILE", help="its bundle")
    add("--svid-seconds", type=int, default=3600)
    add("--authority-seconds", type=int, default=2 * 86400)
    add(
        "--ahead-seconds", type=int, default=900, help="how long a new authority is announced before it signs"
    )
    add("--refresh-seconds", type=int, default=REFRESH_SECONDS, help="how often to look at the bundles")
    add("--per-minute", type=float, default=30.0, help="requests of one caller")
    return parser


def _trust_domain(text: str) -> str:
    try:
        return parse_trust_domain(text)
    except IdentityInvalid as invalid:
        raise argparse.ArgumentTypeError(str(invalid)) from invalid


def _federated(text: str) -> tuple[str, BundleDocument]:
    name, separator, path = text.partition("=")
    if not separator or not path:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FILE")
    try:
        return name, read_bundle_document(name, Path(path).read_bytes())
    except (OSError, IdentityInvalid) as unusable:
        raise argparse.ArgumentTypeError(str(unusable)) from unusable


if __name__ == "__main__":
    sys.exit(main())
