"""Our own X509-SVID: the chain that we show and the key that proves it is ours."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from mesh.identity.certificate import load_certificate
from mesh.identity.der import split_der
from mesh.identity.errors import IdentityInvalid, PeerRefused, SvidInvalid
from mesh.identity.leaf import check_leaf
from mesh.identity.spiffe_id import SpiffeId


@dataclass(frozen=True, slots=True)
class X509Svid:
    """A certificate chain (DER, leaf first, no root), its PKCS #8 key (DER) and the end of its life (UTC)."""

    spiffe_id: SpiffeId
    chain_der: tuple[bytes, ...] = field(repr=False)
    key_pkcs8_der: bytes = field(repr=False)
    not_after: datetime

    @property
    def serial(self) -> str:
        """The leaf's serial number, hexadecimal, as logs have it."""
        return f"{load_certificate(self.chain_der[0]).serial_number:x}"

    @classmethod
    def parse(cls, chain: bytes | tuple[bytes, ...], key_pkcs8_der: bytes) -> X509Svid:
        """Read a chain, either DER laid end to end or already split, and its key.

        Raises SvidInvalid when a part is malformed, the leaf breaks the rules for SVIDs or the key is not its
        own.
        """
        try:
            chain_der = split_der(chain) if isinstance(chain, bytes) else chain
            certificates = [load_certificate(der) for der in chain_der]
        except IdentityInvalid as malformed:
            raise SvidInvalid(f"the certificate chain cannot be read: {malformed}") from malformed
        if not certificates:
            raise SvidInvalid("the certificate chain is empty")
        leaf = certificates[0]
        try:
            spiffe_id = check_leaf(leaf)
        except PeerRefused as broken:
            raise SvidInvalid(broken.detail) from broken
        _check_key(leaf, key_pkcs8_der)
        not_after = min(certificate.not_valid_after_utc for certificate in certificates)
        return cls(spiffe_id, chain_der, key_pkcs8_der, not_after)


def _check_key(leaf: x509.Certificate, key_pkcs8_der: bytes) -> None:
    try:
        key = load_der_private_key(key_pkcs8_der, password=None)
        public_key = leaf.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as malformed:
        raise SvidInvalid(f"the private key cannot be read: {malformed}") from malformed
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != public_key.public_bytes(*form):
        raise SvidInvalid("the private key is not that of the certificate")
