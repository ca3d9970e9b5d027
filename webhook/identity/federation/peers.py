"""Which trust domains this one recognises, and where their bundles are: the section `federation` of the settings.

    federation:
    - trustDomain: b.example
      url: https://bundle.b.example/bundle
      profile: https_spiffe              # or https_web, verified as browsers do
      endpointSpiffeId: spiffe://b.example/spire/server
      bundle: |                          # PEM, or a SPIFFE bundle document: what the first look is verified by
        -----BEGIN CERTIFICATE-----

What a document is of stands here alone, and never in the document (SPIFFE Federation, 5.3).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from mesh.identity.bundle import TrustBundle
from mesh.identity.bundle_document import BundleDocument, read_bundle_document
from mesh.identity.errors import IdentityInvalid, SpiffeIdInvalid
from mesh.identity.pem import read_certificates
from mesh.identity.spiffe_id import SpiffeId, parse_trust_domain
from mesh.policy.errors import shown
from mesh.policy.fields import INVALID, Field, Invalid, Place, choice, list_of, text
from mesh.policy.yaml_tree import Node
from webhook.admission.settings_readers import section


class Profile(StrEnum):
    """How the server of a bundle proves who it is."""

    SPIFFE = "https_spiffe"
    WEB = "https_web"


@dataclass(frozen=True, slots=True)
class Peer:
    """A trust domain and where its bundle is. `bundle` (PEM or JSON) is what is known of it beforehand."""

    trust_domain: str
    url: str
    profile: Profile = Profile.SPIFFE
    endpoint_spiffe_id: str = ""
    bundle: str = field(default="", repr=False)

    @property
    def endpoint(self) -> SpiffeId:
        """Who the server has to be, for `https_spiffe`."""
        return SpiffeId.parse(self.endpoint_spiffe_id)

    @property
    def known(self) -> BundleDocument | None:
        """The bundle that was given; raises IdentityInvalid."""
        if not self.bundle:
            return None
        if self.bundle.lstrip().startswith("{"):
            return read_bundle_document(self.trust_domain, self.bundle.encode("utf-8", "surrogatepass"))
        ders = read_certificates(self.bundle.encode("utf-8", "surrogatepass"))
        return BundleDocument(TrustBundle(self.trust_domain, ders))


def _trust_domain(value: str) -> str | None:
    try:
        parse_trust_domain(value)
    except SpiffeIdInvalid as invalid:
        return str(invalid)
    return None


def _spiffe_id(value: str) -> str | None:
    try:
        found = SpiffeId.parse(value)
    except SpiffeIdInvalid as invalid:
        return str(invalid)
    return None if found.path else f"{value} names a trust domain, not a workload"


def _https(value: str) -> str | None:
    try:
        parts = urlsplit(value)
        fine = parts.scheme == "https" and parts.hostname and parts.port != 0 and not parts.username
    except ValueError:
        fine = False
    return None if fine else f"{shown(value)} is not an https:// URL"


_PEER = {
    "trustDomain": Field(text(_trust_domain), missing="the name of the other trust domain"),
    "url": Field(text(_https), missing="the https:// URL of its bundle"),
    "profile": Field(choice(Profile)),
    "endpointSpiffeId": Field(text(_spiffe_id)),
    "bundle": Field(text(lambda _value: None)),
}


def _read_peer(node: Node, place: Place) -> Any:
    peer: Peer | Invalid = section(_PEER, Peer)(node, place)
    if isinstance(peer, Invalid):
        return INVALID
    try:
        known = peer.known
    except IdentityInvalid as malformed:
        return place.child("bundle").error(
            node, f"neither certificates in PEM nor a bundle document: {malformed}"
        )
    if peer.profile is Profile.WEB:
        return peer
    if not peer.endpoint_spiffe_id:
        return place.child("endpointSpiffeId").error(
            node, "missing; it says who serves the bundle (https_spiffe)"
        )
    if known is None and peer.endpoint.trust_domain == peer.trust_domain:
        return place.child("bundle").error(node, "missing; the first look is verified by it (https_spiffe)")
    return peer


def read_federation(node: Node, place: Place) -> Any:
    """The section: a tuple of `Peer`, or INVALID after what is wrong has been reported."""
    peers = list_of(_read_peer, at_most=100)(node, place)
    if isinstance(peers, Invalid) or INVALID in peers:
        return INVALID
    names = [peer.trust_domain for peer in peers]
    doubled = next((name for name in names if names.count(name) > 1), None)
    return peers if doubled is None else place.error(node, f"{doubled} is there twice")
