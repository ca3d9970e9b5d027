"""An authority that others look after: cert-manager, or a certificate authority of the company.

    ca.crt            root certificates; they are published beside our own, too, before and after a change
    tls.crt, tls.key  who signs SVIDs: the certificate of an authority, then the chain to a root, and the key
    jwt.key           optional, P-256: what signs tokens. The first of several signs, all are published. Without it
                      the key is derived from tls.key, so that all replicas have the same one without writing

Everything is checked before it is used: a mistake here would otherwise show in every connection of the mesh at
once. Last, a certificate is issued and verified as a peer would: what that refuses is no CA for SVIDs.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import Authority, SigningKey
from mesh.identity.certificate import load_certificate
from mesh.identity.errors import IdentityInvalid, PeerRefused
from mesh.identity.issue import new_svid
from mesh.identity.jwt_svid import JwtKey
from mesh.identity.pem import read_certificates
from mesh.identity.spiffe_id import SCHEME, SpiffeId
from mesh.identity.verify import verify_chain
from webhook.identity.keyring.stored import KeyringInvalid, read_private_key, read_signing_key

ROOTS_FILE: Final = "ca.crt"
CHAIN_FILE: Final = "tls.crt"
KEY_FILE: Final = "tls.key"
TOKEN_KEY_FILE: Final = "jwt.key"  # noqa: S105 - the name of a file
MOST_CERTIFICATES = 16
_MIN_RSA_BITS = 2048
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (FIPS 186-5, appendix)."""


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody put there. `authority` is None where there are only roots to publish."""

    roots: tuple[x509.Certificate, ...]
    authority: Authority | None = None
    token_keys: tuple[JwtKey, ...] = field(default=(), repr=False)

    @property
    def roots_der(self) -> tuple[bytes, ...]:
        return tuple(one.public_bytes(Encoding.DER) for one in self.roots)

    @property
    def expires(self) -> datetime:
        """When the first of its certificates does that issuing depends on."""
        chain = () if self.authority is None else self.authority.intermediates_der
        dates = [load_certificate(der).not_valid_after_utc for der in chain]
        own = () if self.authority is None else (self.authority.certificate.not_valid_after_utc,)
        return min((*dates, *own), default=max(one.not_valid_after_utc for one in self.roots))


def is_given(data: Mapping[str, bytes]) -> bool:
    """Has somebody put anything of this into the Secret?"""
    return any(data.get(name) for name in (ROOTS_FILE, CHAIN_FILE, KEY_FILE))


def read_given(data: Mapping[str, bytes], trust_domain: str, now: datetime) -> Given:
    """What the Secret's `data` holds; raises KeyringInvalid with what is wrong, in which file."""
    roots = _certificates(data, ROOTS_FILE)
    if not roots:
        raise KeyringInvalid(f"{ROOTS_FILE}: the roots are missing that verify what {CHAIN_FILE} signs")
    for root in roots:
        _check_authority(root, ROOTS_FILE, below=0)
    if not data.get(CHAIN_FILE) and not data.get(KEY_FILE):
        return Given(roots)
    chain = _certificates(data, CHAIN_FILE)
    if not chain:
        raise KeyringInvalid(f"{CHAIN_FILE}: the certificate for {KEY_FILE} is missing")
    for place, one in enumerate(chain):
        _check_authority(one, CHAIN_FILE, below=place)
        _check_dates(one, now)
        _check_trust_domain(one, trust_domain)
    if not data.get(KEY_FILE):
        raise KeyringInvalid(f"{KEY_FILE}: the key for {CHAIN_FILE} is missing")
    key = read_signing_key(_text(data, KEY_FILE), chain[0], KEY_FILE)
    _check_strength(key)
    authority = Authority(trust_domain, chain[0], key, _sent(chain, roots))
    given = Given(roots, authority, _token_keys(data, key, trust_domain))
    _check_by_use(given, now)
    return given


def _sent(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> tuple[bytes, ...]:
    """What goes with each SVID: the chain without roots. Each must be signed by the next, the last by a root."""
    needed = [one for one in chain if one not in roots]
    for one, signer in itertools.pairwise(needed):
        if not _signed_by(one, signer):
            raise KeyringInvalid(
                f"{CHAIN_FILE}: {_named(one)} is not signed by the one after it, {_named(signer)}"
            )
    if needed and not any(_signed_by(needed[-1], root) for root in roots):
        raise KeyringInvalid(f"{CHAIN_FILE}: no root in {ROOTS_FILE} signed {_named(needed[-1])}")
    return tuple(one.public_bytes(Encoding.DER) for one in needed)


def _certificates(data: Mapping[str, bytes], name: str) -> tuple[x509.Certificate, ...]:
    if not data.get(name):
        return ()
    try:
        found = tuple(map(load_certificate, read_certificates(data[name])))
    except IdentityInvalid as malformed:
        raise KeyringInvalid(f"{name}: {malformed}") from malformed
    if len(found) > MOST_CERTIFICATES:
        raise KeyringInvalid(f"{name}: {len(found)} certificates; at most {MOST_CERTIFICATES} are read")
    return found


def _check_authority(one: x509.Certificate, name: str, below: int) -> None:
    """May it sign, with `below` authorities between it and the leaf?"""
    try:
        constraints = one.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = x509.BasicConstraints(ca=False, path_length=None)
    if not constraints.ca:
        raise KeyringInvalid(
            f"{name}: {_named(one)} is not the certificate of an authority (CA:TRUE is missing)"
        )
    if constraints.path_length is not None and constraints.path_length < below:
        allowed = f"its pathlen is {constraints.path_length}, and {below} authorities come below it"
        raise KeyringInvalid(f"{name}: {_named(one)}: {allowed}")
    try:
        usage = one.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        raise KeyringInvalid(f"{name}: {_named(one)} has no key usage; keyCertSign is needed") from None
    if not usage.key_cert_sign:
        raise KeyringInvalid(f"{name}: {_named(one)} may not sign certificates: keyCertSign is missing")


def _check_dates(one: x509.Certificate, now: datetime) -> None:
    if now >= one.not_valid_after_utc:
        raise KeyringInvalid(
            f"{CHAIN_FILE}: {_named(one)} expired at {one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        )
    if now < one.not_valid_before_utc:
        begin = f"{one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        raise KeyringInvalid(f"{CHAIN_FILE}: {_named(one)} is not valid before {begin}")


def _check_trust_domain(one: x509.Certificate, trust_domain: str) -> None:
    try:
        names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
        if uri.startswith(SCHEME) and uri != SCHEME + trust_domain:
            wanted = f"it must be {SCHEME}{trust_domain}, or none"
            raise KeyringInvalid(f"{CHAIN_FILE}: {_named(one)} has the SPIFFE ID {uri}; {wanted}")


def _check_strength(key: SigningKey) -> None:
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _MIN_RSA_BITS:
        raise KeyringInvalid(
            f"{KEY_FILE}: an RSA key of {key.key_size} bits; at least {_MIN_RSA_BITS} are needed"
        )


def _check_by_use(given: Given, now: datetime) -> None:
    """Issue a certificate and verify it as peers do: name constraints, extended usages, whatever is left."""
    assert given.authority is not None  # noqa: S101 - there is one by now
    trust_domain = given.authority.trust_domain
    probe = SpiffeId(trust_domain, "/ns/probe/sa/probe")
    try:
        svid = new_svid(given.authority, probe, now, timedelta(minutes=5))
        verify_chain(svid.chain_der, {trust_domain: TrustBundle(trust_domain, given.roots_der)}, now)
    except (IdentityInvalid, PeerRefused) as refused:
        raise KeyringInvalid(f"{CHAIN_FILE}: peers would refuse what it signs: {refused}") from refused


def _token_keys(data: Mapping[str, bytes], key: SigningKey, trust_domain: str) -> tuple[JwtKey, ...]:
    if not data.get(TOKEN_KEY_FILE):
        return (_derived(key, trust_domain),)
    blocks = _text(data, TOKEN_KEY_FILE).split("-----BEGIN ")
    keys = [read_private_key(f"-----BEGIN {one}", TOKEN_KEY_FILE) for one in blocks[1:]]
    found = [one for one in keys if isinstance(one, ec.EllipticCurvePrivateKey)]
    if not found or len(found) < len(keys) or any(one.curve.name != "secp256r1" for one in found):
        raise KeyringInvalid(f"{TOKEN_KEY_FILE}: EC keys on P-256 are needed")
    return tuple(JwtKey(_key_id(one), one) for one in found)


def _derived(key: SigningKey, trust_domain: str) -> JwtKey:
    """A key that only holders of `key` can have, and that says nothing of it (RFC 5869)."""
    secret = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    info = f"outrider JWT-SVID {trust_domain}".encode()
    drawn = int.from_bytes(HKDF(hashes.SHA256(), 48, salt=None, info=info).derive(secret))
    made = ec.derive_private_key(drawn % (_ORDER - 1) + 1, ec.SECP256R1())
    return JwtKey(_key_id(made), made)


def _key_id(key: ec.EllipticCurvePrivateKey) -> str:
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(public).hexdigest()[:22]


def _signed_by(certificate: x509.Certificate, signer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _text(data: Mapping[str, bytes], name: str) -> str:
    return data[name].decode("utf-8", "replace")


def _named(one: x509.Certificate) -> str:
    subject = one.subject.rfc4514_string()
    return f'"{subject}"' if subject else f"the certificate {one.serial_number:x}"
