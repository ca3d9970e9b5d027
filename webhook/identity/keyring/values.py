"""The keys of the mesh's own CA as one value, which says by itself who signs at which time.

    roots        self-signed, long-lived; they are the trust bundle and sign nothing but issuers
    issuers      intermediates; they sign SVIDs and travel with each of them
    token keys   they sign JWT-SVIDs; their public halves are in the bundle

Who is to sign from when on is written down when a key is made, long before: so replicas that see a change late,
and even one that does not see the next for hours, change over at the same moment without asking anybody.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mesh.identity.bundle import TrustBundle
from mesh.identity.bundle_document import BundleDocument
from mesh.identity.ca import CLOCK_SKEW, Authority, SigningKey
from mesh.identity.jws import PublicKey
from mesh.identity.jwt_svid import JwtKey
from mesh.identity.pem import CERTIFICATE, write_pem


@dataclass(frozen=True, slots=True)
class Times:
    """root, issuer, token_key  how long each lives; what follows it is made when half of that has passed
    svid, jwt_svid              how long what they sign lives at most
    ahead                       how long a root or a token key is published before it is used; more than any
                                verifier, and any replica, goes without looking
    margin                      how much longer than necessary it stays published after that
    bridge                      how long a new root is vouched for by the one before, on the control port alone:
                                for sidecars whose roots stand in their pods
    """

    root: timedelta = timedelta(days=3650)
    issuer: timedelta = timedelta(days=30)
    token_key: timedelta = timedelta(days=30)
    svid: timedelta = timedelta(hours=1)
    jwt_svid: timedelta = timedelta(minutes=5)
    ahead: timedelta = timedelta(hours=24)
    margin: timedelta = timedelta(hours=1)
    bridge: timedelta = timedelta(days=3650)

    def __post_init__(self) -> None:
        if self.issuer / 2 < self.svid or self.token_key / 2 < self.ahead + self.jwt_svid + self.margin:
            raise ValueError(
                "half of an issuer's life must hold an SVID's, half of a token key's its announcement"
            )
        if self.root / 2 < self.ahead + self.issuer + self.svid + self.margin:
            raise ValueError("half of a root's life must hold its announcement and an issuer's life")


@dataclass(frozen=True, slots=True)
class Root:
    """A root. `key` is None once it signs no more; issuers below it are used from `begins` on; `until` is when it
    is withdrawn, None while nothing follows it."""

    certificate: x509.Certificate
    begins: datetime
    key: SigningKey | None = field(default=None, repr=False)
    until: datetime | None = None

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def half(self) -> datetime:
        """When half of its life has passed."""
        return half(self.certificate)


@dataclass(frozen=True, slots=True)
class Issuer:
    """What signs SVIDs from `begins` on, until another one does."""

    authority: Authority
    begins: datetime


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What signs tokens from `begins` on. `key` is None once it signs no more."""

    key_id: str
    public: PublicKey
    begins: datetime
    key: JwtKey | None = field(default=None, repr=False)
    until: datetime | None = None


_Dated = TypeVar("_Dated", Root, Issuer, TokenKey)


@dataclass(frozen=True)
class Keyring:
    """Everything at once. `rotated` and `replaced` are the operator's wishes that have been fulfilled.

    `bridges` (DER) vouch for newer roots by older ones: for sidecars that know only an older one and could not
    reach the control plane otherwise. `sequence` grows with each change of the bundle.
    """

    trust_domain: str
    roots: tuple[Root, ...]
    issuers: tuple[Issuer, ...]
    token_keys: tuple[TokenKey, ...]
    sequence: int
    bridges: tuple[bytes, ...] = ()
    rotated: str = ""
    replaced: str = ""

    def root(self, now: datetime) -> Root:
        """The one whose issuers sign at `now`."""
        return max(self._begun(self.roots, now), key=lambda one: one.begins)

    def issuer(self, now: datetime) -> Issuer:
        """What signs SVIDs at `now`."""
        return max(self._begun(self.issuers, now), key=lambda one: one.begins)

    def token_key(self, now: datetime) -> TokenKey:
        """What signs tokens at `now`."""
        return max(self._begun(self.token_keys, now), key=lambda one: one.begins)

    @cached_property
    def trust_bundle(self) -> TrustBundle:
        """The roots, the youngest first."""
        newest = sorted(self.roots, key=lambda one: one.begins, reverse=True)
        return TrustBundle(self.trust_domain, tuple(one.der for one in newest))

    @property
    def roots_pem(self) -> str:
        """The same as PEM."""
        return write_pem(CERTIFICATE, *self.trust_bundle.authorities_der)

    def bundle(self, refresh_hint: int | None = None) -> BundleDocument:
        """What verifies everything that was signed, or is about to be."""
        keys = {one.key_id: one.public for one in self.token_keys}
        return BundleDocument(self.trust_bundle, keys, self.sequence, refresh_hint)

    @staticmethod
    def _begun(ones: tuple[_Dated, ...], now: datetime) -> list[_Dated]:
        """Those that have begun; before all of them, by a clock that runs behind, the first."""
        return [one for one in ones if one.begins <= now] or [min(ones, key=lambda one: one.begins)]


def half(certificate: x509.Certificate) -> datetime:
    """When half of a certificate's life has passed, which begins when it is made: it is dated back for peers whose
    clock runs behind, and a short life would be over before it began."""
    begin, end = certificate.not_valid_before_utc + CLOCK_SKEW, certificate.not_valid_after_utc
    return begin + (end - begin) / 2
