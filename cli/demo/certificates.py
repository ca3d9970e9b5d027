"""The certificates of the HTTPS act: the public servers' own, and what stands in those that somebody was shown."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import NameOID

from cli.demo.cast import CODE_HOST, HELPDESK, LOGIN_HOST, PASTE_HOST, PUBLIC_HOST, TRIAGE, Workload
from mesh.settings.trust import BUNDLE_FILE, CA_FILE
from webhook.identity.serving_certificate import CERT_FILE, KEY_FILE, ROOT_FILE, make_serving_files

LIFETIME = timedelta(days=1)
SHOWN_SECONDS = 5.0
PUBLIC_NAMES = (PUBLIC_HOST, "127.0.0.1", LOGIN_HOST, CODE_HOST, PASTE_HOST)
"""What the one certificate is for that all public servers show."""


def make_public(folder: Path) -> None:
    """Make the certificate of the public servers, by an authority of its own, and folders for sidecars' trust."""
    for made in (_public(folder), trust_folder(folder, TRIAGE), trust_folder(folder, HELPDESK)):
        made.mkdir(parents=True, exist_ok=True)
    make_serving_files(_public(folder), list(PUBLIC_NAMES), datetime.now(UTC), LIFETIME)


def _public(folder: Path) -> Path:
    return folder / "public"


def public_root(folder: Path) -> Path:
    """The authority that stands for the public ones."""
    return _public(folder) / ROOT_FILE


def public_certificate(folder: Path) -> Path:
    """What the public servers show."""
    return _public(folder) / CERT_FILE


def public_key(folder: Path) -> Path:
    """Its key."""
    return _public(folder) / KEY_FILE


def trust_folder(folder: Path, workload: Workload) -> Path:
    """Where an agent's sidecar writes what the agent has to trust: a volume that the two share in a pod."""
    return folder / "trust" / workload.name


def bundle(folder: Path, workload: Workload) -> Path:
    """What SSL_CERT_FILE names in the agent's container."""
    return trust_folder(folder, workload) / BUNDLE_FILE


def authority(folder: Path, workload: Workload) -> Path:
    """The sidecar's own authority, which is part of the bundle."""
    return trust_folder(folder, workload) / CA_FILE


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a reader wants to know of one. `limited_to`: all that an authority may vouch for; None: anything."""

    serial: str
    names: tuple[str, ...] = ()
    subject: str = ""
    issuer: str = ""
    limited_to: tuple[str, ...] | None = None

    @classmethod
    def read(cls, pem: str) -> Certificate | None:
        """Of PEM text; None where there is none in it."""
        if not pem:
            return None
        found = x509.load_pem_x509_certificate(pem.encode("ascii"))
        return cls(
            f"{found.serial_number:x}",
            _names(found),
            _common_name(found.subject),
            _common_name(found.issuer),
            _limits(found),
        )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME) or list(name)
    return str(found[0].value) if found else ""


def _limits(certificate: x509.Certificate) -> tuple[str, ...] | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return None
    permitted = found.value.permitted_subtrees
    return tuple(str(name.value) for name in permitted or ()) if found.critical else None


async def shown_at(port: int) -> Certificate | None:
    """The certificate that a server at a loopback port shows to anybody; None when it shows none.

    In TLS 1.3 a server proves itself before it asks who calls, so even a stranger sees its SVID.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(SHOWN_SECONDS):
            _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    except (OSError, TimeoutError):
        return None
    der = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.transport.abort()
    return Certificate.read(ssl.DER_cert_to_PEM_cert(der))
