"""The bundles of other trust domains: looked at as often as they ask to be, and the last good one kept.

A document is taken for the trust domain that the settings name, whatever it says, and not at all if an authority
in it says that it is of another one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509

from mesh.identity.bundle import TrustBundle
from mesh.identity.bundle_document import BundleDocument, read_bundle_document
from mesh.identity.certificate import load_certificate
from mesh.identity.errors import BundleInvalid, IdentityInvalid, PeerRefused
from mesh.identity.spiffe_id import SCHEME
from mesh.identity.verify import verify_peer
from webhook.cluster.failures import Log
from webhook.cluster.pace import Pace
from webhook.identity.authorities import Federated
from webhook.identity.federation.fetch import Check, FetchFailed, fetch
from webhook.identity.federation.peers import Peer, Profile

USUAL_SECONDS: Final = 300.0
LEAST_SECONDS: Final = 10.0
MOST_SECONDS: Final = 24 * 3600.0
_FAILURES = (FetchFailed, IdentityInvalid, PeerRefused, OSError)


@dataclass(slots=True)
class Federation:
    """Follows `peers`. `own` gives the bundle of our own trust domain, by which an endpoint may be verified, too.

    `web` makes the context for https_web; tests put one with roots of their own here.
    """

    trust_domain: str
    peers: Sequence[Peer]
    own: Callable[[], TrustBundle | None]
    now: Callable[[], datetime]
    pace: Pace
    log: Log
    web: Callable[[], ssl.SSLContext] = ssl.create_default_context
    _known: dict[str, BundleDocument] = field(default_factory=dict)
    _ailing: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for peer in self.peers:
            if peer.trust_domain == self.trust_domain:
                raise ValueError(f"federation: {peer.trust_domain} is our own trust domain")
            if (known := peer.known) is not None:
                self._known[peer.trust_domain] = known

    def bundles(self) -> Federated:
        """What is known of each, by trust domain."""
        return dict(self._known)

    async def run(self) -> None:
        """Follow all of them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for peer in self.peers:
                group.create_task(self._follow(peer), name=f"federation with {peer.trust_domain}")

    async def look(self, peer: Peer) -> None:
        """Look once; raises FetchFailed, IdentityInvalid, PeerRefused or OSError, and then nothing has changed."""
        context, check = self._by_web() if peer.profile is Profile.WEB else self._by_spiffe(peer)
        document = read_bundle_document(peer.trust_domain, await fetch(peer.url, context, check))
        _check_own(document.x509)
        if document != self._known.get(peer.trust_domain):
            authorities = len(document.x509.authorities_der)
            line = {
                "trust_domain": peer.trust_domain,
                "authorities": authorities,
                "sequence": document.sequence,
            }
            self.log({"event": "federated_bundle", **line})
        self._known[peer.trust_domain] = document

    async def _follow(self, peer: Peer) -> None:
        attempt = 0
        while True:
            try:
                await self.look(peer)
            except _FAILURES as failed:
                self._tell(
                    peer, f"{type(failed).__name__}: {failed}" if str(failed) else type(failed).__name__
                )
                attempt += 1
                await self.pace.sleep(max(LEAST_SECONDS, self.pace.delay(attempt - 1)))
            else:
                self._tell(peer, "")
                attempt = 0
                await self.pace.sleep(self._patience(peer))

    def _patience(self, peer: Peer) -> float:
        hint = self._known[peer.trust_domain].refresh_hint or USUAL_SECONDS
        return float(min(max(hint, LEAST_SECONDS), MOST_SECONDS))

    def _tell(self, peer: Peer, problem: str) -> None:
        """Once for each change."""
        if self._ailing.get(peer.trust_domain, "") == problem:
            return
        self._ailing[peer.trust_domain] = problem
        told: Mapping[str, object] = {"error": problem} if problem else {"recovered": True}
        self.log({"event": "federation", "trust_domain": peer.trust_domain, "url": peer.url, **told})

    def _by_web(self) -> tuple[ssl.SSLContext, Check]:
        return self.web(), lambda _chain: None

    def _by_spiffe(self, peer: Peer) -> tuple[ssl.SSLContext, Check]:
        bundle = self._bundle_of(peer.endpoint.trust_domain)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # TLS proves that the server has the key of what it shows; what that is worth is for `verify_peer` alone,
        # by one bundle and before a byte is sent.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

        def check(chain: list[bytes]) -> None:
            found = verify_peer(chain, {bundle.trust_domain: bundle}, self.now())
            if found != peer.endpoint:
                raise FetchFailed(f"{peer.url}: {found} answers, and not {peer.endpoint}")

        return context, check

    def _bundle_of(self, trust_domain: str) -> TrustBundle:
        own = self.own() if trust_domain == self.trust_domain else None
        known = self._known.get(trust_domain)
        bundle = own or (known.x509 if known is not None else None)
        if bundle is None:
            raise FetchFailed(f"there is no bundle of {trust_domain} yet, which the endpoint is verified by")
        return bundle


def _check_own(bundle: TrustBundle) -> None:
    """An authority that says of which trust domain it is must be of this one (X509-SVID, 3.2)."""
    wanted = SCHEME + bundle.trust_domain
    for der in bundle.authorities_der:
        try:
            names = load_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            continue
        for uri in names.value.get_values_for_type(x509.UniformResourceIdentifier):
            if uri.startswith(SCHEME) and uri != wanted:
                raise BundleInvalid(f"bundle of {bundle.trust_domain}: an authority in it is of {uri}")
