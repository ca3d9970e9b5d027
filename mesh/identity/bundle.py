"""The authorities of one trust domain, and of that domain only.

A bundle never holds another domain's authorities: what keeps a federated domain from issuing our identities
is that a peer is verified against the bundle of its own domain alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.x509.verification import Store

from mesh.identity.certificate import load_certificate
from mesh.identity.der import split_der
from mesh.identity.errors import BundleInvalid, IdentityInvalid, SpiffeIdInvalid
from mesh.identity.spiffe_id import parse_trust_domain


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """The CA certificates of `trust_domain`, each as DER; none at all means that nobody of it is trusted.

    Raises BundleInvalid on a malformed certificate, SpiffeIdInvalid on a malformed name. Parsing happens
    here, once, so that verifying a peer does not parse the authorities again.
    """

    trust_domain: str
    authorities_der: tuple[bytes, ...] = field(repr=False)
    store: Store | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parse_trust_domain(self.trust_domain)
        authorities = [_authority(self.trust_domain, der) for der in self.authorities_der]
        object.__setattr__(self, "store", Store(authorities) if authorities else None)

    @classmethod
    def from_der(cls, trust_domain: str, concatenated: bytes) -> TrustBundle:
        """Read authorities laid end to end, as the Workload API sends them; raises BundleInvalid."""
        try:
            return cls(trust_domain, split_der(concatenated))
        except SpiffeIdInvalid:
            raise
        except IdentityInvalid as malformed:
            raise BundleInvalid(f"bundle of {trust_domain}: {malformed}") from malformed


def _authority(trust_domain: str, der: bytes) -> x509.Certificate:
    try:
        return load_certificate(der)
    except IdentityInvalid as malformed:
        raise BundleInvalid(f"bundle of {trust_domain}: {malformed}") from malformed
