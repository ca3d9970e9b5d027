"""Who is the peer? Its chain, verified against the bundle of its own trust domain and no other.

The TLS library verifies against one store for all domains, in which an authority of domain B can sign a
certificate for an identity of domain A. This second verification closes that: the unproved ID of the leaf
chooses the bundle, and only that bundle can prove it (SPIFFE X509-SVID, section 5; RFC 5280, section 6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from mesh.identity.bundle import TrustBundle
from mesh.identity.certificate import load_certificate
from mesh.identity.errors import IdentityInvalid, PeerRefused
from mesh.identity.leaf import check_leaf, check_signer
from mesh.identity.spiffe_id import SpiffeId
from mesh.reasons import Reason


@dataclass(frozen=True, slots=True)
class VerifiedPeer:
    """What a peer proved: who it is, until when (UTC) the chain that proves it holds, and by which certificate."""

    spiffe_id: SpiffeId
    not_after: datetime
    serial: str
    """Of its SVID, hexadecimal, as logs have it."""


def verify_peer(chain_der: Sequence[bytes], bundles: Mapping[str, TrustBundle], now: datetime) -> SpiffeId:
    """Return the identity that the chain (DER, leaf first) proves at `now`; see `verify_chain`."""
    return verify_chain(chain_der, bundles, now).spiffe_id


def verify_chain(
    chain_der: Sequence[bytes], bundles: Mapping[str, TrustBundle], now: datetime
) -> VerifiedPeer:
    """Verify a peer's chain (DER, leaf first) at `now` (aware, UTC).

    `bundles` maps the name of a trust domain to its bundle. Raises PeerRefused with PEER_NO_CERTIFICATE,
    PEER_BAD_LEAF, PEER_UNKNOWN_TRUST_DOMAIN, PEER_EXPIRED or PEER_UNTRUSTED. Any intermediates may be present
    and in any order; what is not needed is ignored.
    """
    if not chain_der:
        raise PeerRefused(Reason.PEER_NO_CERTIFICATE, "the peer sent no certificate")
    leaf, *intermediates = _load(chain_der)
    identity = check_leaf(leaf)
    store = _store_of(identity, bundles)
    _check_validity(leaf, identity, now)
    chain = _check_path(leaf, intermediates, store, identity, now)
    not_after = min(certificate.not_valid_after_utc for certificate in chain)
    return VerifiedPeer(identity, not_after, f"{leaf.serial_number:x}")


def _load(chain_der: Sequence[bytes]) -> list[x509.Certificate]:
    try:
        return [load_certificate(der) for der in chain_der]
    except IdentityInvalid as malformed:
        raise PeerRefused(Reason.PEER_BAD_LEAF, str(malformed)) from malformed


def _store_of(identity: SpiffeId, bundles: Mapping[str, TrustBundle]) -> Store:
    bundle = bundles.get(identity.trust_domain)
    if bundle is None:
        raise PeerRefused(
            Reason.PEER_UNKNOWN_TRUST_DOMAIN,
            f"{identity} is of {identity.trust_domain}, which has no bundle here",
        )
    if bundle.trust_domain != identity.trust_domain or bundle.store is None:
        raise PeerRefused(Reason.PEER_UNTRUSTED, f"the bundle of {identity.trust_domain} has no authority")
    return bundle.store


def _check_validity(leaf: x509.Certificate, identity: SpiffeId, now: datetime) -> None:
    if now > leaf.not_valid_after_utc:
        raise PeerRefused(
            Reason.PEER_EXPIRED, f"the SVID of {identity} expired at {leaf.not_valid_after_utc}"
        )
    if now < leaf.not_valid_before_utc:
        raise PeerRefused(
            Reason.PEER_EXPIRED, f"the SVID of {identity} is not valid before {leaf.not_valid_before_utc}"
        )


def _check_path(
    leaf: x509.Certificate,
    intermediates: list[x509.Certificate],
    store: Store,
    identity: SpiffeId,
    now: datetime,
) -> list[x509.Certificate]:
    verifier = (
        PolicyBuilder()
        .store(store)
        .time(now)
        .extension_policies(ca_policy=_SIGNERS, ee_policy=_LEAVES)
        .build_client_verifier()
    )
    try:
        chain = verifier.verify(leaf, intermediates).chain
    except VerificationError as refused:
        raise PeerRefused(
            Reason.PEER_UNTRUSTED,
            f"{identity} does not chain to the bundle of {identity.trust_domain}: {refused}",
        ) from refused
    for signer in chain[1:]:
        check_signer(signer)
    return chain


def _is_authority(
    _policy: Policy, _certificate: x509.Certificate, constraints: x509.BasicConstraints
) -> None:
    if not constraints.ca:
        raise ValueError("a signing certificate is not that of an authority")


def _may_sign(_policy: Policy, _certificate: x509.Certificate, usage: x509.KeyUsage) -> None:
    if not usage.key_cert_sign:
        raise ValueError("a signing certificate lacks keyCertSign")


# The library's own policies are those of the public web: they refuse valid SVIDs, such as those without key
# identifiers. So all is permitted here except what SPIFFE forbids; check_leaf has the rules for leaves.
# The library refuses signers that are no authority by itself today; that must not depend on its version.
_SIGNERS = (
    ExtensionPolicy.permit_all()
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
    .require_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign)
)
_LEAVES = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)
