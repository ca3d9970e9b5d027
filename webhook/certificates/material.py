"""What the Secret holds, read with tolerance and written whole.

    tls.crt, tls.key          the serving certificate and its key
    ca.crt, ca.key            the authority that signed it
    next-ca.crt, next-ca.key  while it is being announced: the authority that comes after
    old-ca.crt, old-ca.until  while they are being withdrawn: authorities before, without keys, and until when
    rotate                    anything that an operator puts here asks for a new authority

Somebody may have edited it. Each part that cannot be used is left out and told of, so that what is left can be
built upon: a broken serving certificate costs a new one, and not a new authority.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_T = TypeVar("_T")
_UNUSABLE = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature)
MAX_CERTIFICATES = 16
KEYS = frozenset(
    f"{name}.{part}"
    for name, parts in {
        "ca": ("crt", "key"),
        "tls": ("crt", "key"),
        "next-ca": ("crt", "key"),
        "old-ca": ("crt", "until"),
    }.items()
    for part in parts
) | {"rotate"}
"""Everything that we read and write; what else the Secret holds is left alone."""


class Broken(Exception):
    """A part of the Secret cannot be used; whoever edited it is at fault."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        return pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """PKCS #8, without a password."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class Retired:
    """Authorities that sign no more, published until `until` for what they signed."""

    certificates: tuple[x509.Certificate, ...]
    until: datetime


@dataclass(frozen=True, slots=True)
class Material:
    """The usable parts of the Secret."""

    authority: Pair | None = None
    leaf: Pair | None = None
    successor: Pair | None = None
    retired: Retired | None = None
    rotate: bool = False

    @property
    def trusted(self) -> tuple[x509.Certificate, ...]:
        """What has to be published: the authority, the one after it, those before it. The youngest first, so that
        nothing has to be published when they change roles."""
        pairs = [pair.certificate for pair in (self.authority, self.successor) if pair is not None]
        every = {*pairs, *(self.retired.certificates if self.retired else ())}
        return tuple(
            sorted(every, key=lambda one: (one.not_valid_before_utc, one.serial_number), reverse=True)
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A Secret as it was found: what of it can be used, and what is wrong with the rest."""

    material: Material
    faults: tuple[str, ...] = ()
    empty: bool = False


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def bundle(certificates: tuple[x509.Certificate, ...]) -> bytes:
    """Certificates as one PEM text, as caBundle takes them."""
    return b"".join(map(pem, certificates))


def read_certificates(text: bytes) -> tuple[x509.Certificate, ...]:
    """Certificates of a PEM text; raises Broken."""
    try:
        found = tuple(x509.load_pem_x509_certificates(text))
        for certificate in found:  # parsed lazily: what is unreadable shows when it is asked for
            _ = (certificate.extensions, certificate.subject, certificate.not_valid_after_utc)
    except _UNUSABLE as error:
        raise Broken(f"no certificate in PEM: {error}") from error
    if len(found) > MAX_CERTIFICATES:
        raise Broken(f"{len(found)} certificates")
    return found


def is_authority(certificate: x509.Certificate) -> bool:
    """Does it say that it may sign certificates?"""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *_UNUSABLE):
        return False


def signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Does `certificate` chain directly to `authority`?"""
    try:
        certificate.verify_directly_issued_by(authority)
    except _UNUSABLE:
        return False
    return True


def read(data: Mapping[str, str]) -> Found:
    """The Secret's `data` (base64). Raises nothing."""
    faults: list[str] = []

    def part(name: str, reader: Callable[[Mapping[str, str]], _T | None]) -> _T | None:
        try:
            return reader(data)
        except Broken as error:
            faults.append(f"{name}: {error}")
            return None

    authority = part("ca.crt", lambda held: _authority(held, "ca"))
    leaf = part("tls.crt", lambda held: _leaf(held, authority))
    successor = part("next-ca.crt", lambda held: _authority(held, "next-ca"))
    retired = part("old-ca.crt", _retired)
    material = Material(authority, leaf, successor, retired, rotate="rotate" in data)
    return Found(material, tuple(faults), empty=not any(data.get(name) for name in KEYS))


def write(material: Material) -> dict[str, str]:
    """`data` of the Secret that holds `material`; what is not in it is to be removed."""
    data: dict[str, bytes] = {}
    for name, pair in (("ca", material.authority), ("tls", material.leaf), ("next-ca", material.successor)):
        if pair is not None:
            data |= {f"{name}.crt": pair.certificate_pem, f"{name}.key": pair.key_pem}
    if material.retired is not None:
        data["old-ca.crt"] = bundle(material.retired.certificates)
        data["old-ca.until"] = material.retired.until.astimezone(UTC).isoformat().encode()
    if material.rotate:
        data["rotate"] = b"asked for"
    return {name: base64.b64encode(value).decode() for name, value in data.items()}


def _bytes(data: Mapping[str, str], name: str) -> bytes:
    try:
        return base64.b64decode(data[name], validate=True)
    except KeyError:
        raise Broken(f"{name} is missing") from None
    except (binascii.Error, ValueError) as error:
        raise Broken(f"{name} is no base64") from error


def _pair(data: Mapping[str, str], name: str) -> Pair | None:
    if not data.get(f"{name}.crt") and not data.get(f"{name}.key"):
        return None
    certificate = read_certificates(_bytes(data, f"{name}.crt"))[0]
    try:
        key = load_pem_private_key(_bytes(data, f"{name}.key"), password=None)
        matches = key.public_key() == certificate.public_key()
    except _UNUSABLE as error:
        raise Broken(f"{name}.key is no private key in PEM: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Broken(f"{name}.key is no elliptic curve key")
    if not matches:
        raise Broken(f"{name}.key is not the key of {name}.crt")
    return Pair(certificate, key)


def _authority(data: Mapping[str, str], name: str) -> Pair | None:
    pair = _pair(data, name)
    if pair is not None and not is_authority(pair.certificate):
        raise Broken("it is not the certificate of an authority")
    return pair


def _leaf(data: Mapping[str, str], authority: Pair | None) -> Pair | None:
    pair = _pair(data, "tls")
    if pair is not None and authority is not None and not signed_by(pair.certificate, authority.certificate):
        raise Broken("ca.crt did not sign it")
    return pair


def _retired(data: Mapping[str, str]) -> Retired | None:
    if not data.get("old-ca.crt"):
        return None
    certificates = tuple(filter(is_authority, read_certificates(_bytes(data, "old-ca.crt"))))
    try:
        until = datetime.fromisoformat(_bytes(data, "old-ca.until").decode())
    except ValueError as error:
        raise Broken(f"old-ca.until is no time: {error}") from error
    if until.tzinfo is None:
        raise Broken("old-ca.until has no time zone")
    return Retired(certificates, until) if certificates else None
