"""Where good and bad certificates are made: authorities of several domains, and what verifies against them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from mesh.identity.bundle import TrustBundle
from mesh.identity.ca import Authority, make_authority
from tests.support.forge import forge

OURS, FEDERATED, UNKNOWN = "a.example", "b.example", "c.example"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
AUTHORITY_SHAPE: dict[str, Any] = {"ca": True, "usages": ("key_cert_sign", "crl_sign"), "uris": ()}


@dataclass(frozen=True)
class Presented:
    """What a peer shows: its chain (DER, leaf first) and the key that it proves."""

    chain: tuple[bytes, ...]
    key: Any


class Workshop:
    """The authorities of the table, what verifies against them, and the peers that show something."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self.ours, self.federated, self.unknown, self.namesake = (
            make_authority(domain, self.now - DAY, 9 * DAY) for domain in (OURS, FEDERATED, UNKNOWN, OURS)
        )
        self.retired = make_authority(OURS, self.now - 2 * DAY, DAY)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.bundles = {
            OURS: TrustBundle(OURS, (self.ours.der, self.retired.der)),
            FEDERATED: self.federated.bundle,
        }

    def leaf(self, signer: Authority | None = None, *, key: Any = None, **shape: Any) -> Presented:
        """A leaf of this shape, by our own authority unless `signer` is given, with its intermediates."""
        signer, key = signer or self.ours, key or self.key
        leaf = forge(signer, key.public_key(), self.now, **shape)
        return Presented((leaf, *signer.intermediates_der), key)

    def below(
        self, signer: Authority | None = None, *, subject: str = "middle", key: Any = None, **shape: Any
    ) -> Authority:
        """An intermediate authority of this shape."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        signer = signer or self.ours
        shape = {**AUTHORITY_SHAPE, "subject": subject, **shape}
        der = forge(signer, key.public_key(), self.now, **shape)
        certificate = x509.load_der_x509_certificate(der)
        return Authority(OURS, certificate, key, (der, *signer.intermediates_der))

    def self_signed(self, **shape: Any) -> Presented:
        """A certificate that vouches for itself, under our authority's own name."""
        return self.leaf(Authority(OURS, self.ours.certificate, self.key), **shape)
