"""How callers of the control port prove who they are: by an SVID of our own CA on the connection, or by a token.

TLS has verified a client certificate against our roots when the connection was made; it is verified again for each
request, by the rules for SVIDs and against the roots as they are now: one that is withdrawn ends what rests on it,
also where a connection was there before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from mesh.identity.errors import PeerRefused
from mesh.identity.issuance import Refusal
from mesh.identity.verify import verify_chain
from webhook.identity.authorities import Authorities, NotSigning
from webhook.identity.callers import CallRefused, How, Proven
from webhook.identity.tls_chain import peer_chain
from webhook.identity.token_reviewer import TokenRefused, TokenReviewer

_WORKLOAD: Final = re.compile(r"/ns/([^/]+)/sa/([^/]+)")
RETRY_SECONDS: Final = 5


@dataclass(frozen=True, slots=True)
class Proofs:
    """Judges requests: certificates by `authorities`, tokens by `reviewer`. `clock` gives the time, aware."""

    authorities: Authorities
    reviewer: TokenReviewer
    clock: Callable[[], datetime]

    async def who(self, request: web.Request) -> Proven:
        """See Callers. A certificate counts more than a token: who shows one means to be that workload."""
        transport = request.transport
        chain = peer_chain(None if transport is None else transport.get_extra_info("ssl_object"))
        return self._by_certificate(chain) if chain else await self._by_token(request)

    def _by_certificate(self, chain: list[bytes]) -> Proven:
        trust_domain = self.authorities.trust_domain
        try:
            bundle = self.authorities.bundle().x509
            peer = verify_chain(chain, {trust_domain: bundle}, self.clock())
        except PeerRefused as refused:
            raise CallRefused(Refusal.CERTIFICATE_REFUSED, refused.detail) from refused
        except NotSigning as unknown:
            raise CallRefused(Refusal.UNAVAILABLE, str(unknown), RETRY_SECONDS) from unknown
        found = _WORKLOAD.fullmatch(peer.spiffe_id.path)
        if found is None:
            detail = f"{peer.spiffe_id} is not of the form /ns/NAMESPACE/sa/SERVICE-ACCOUNT"
            raise CallRefused(Refusal.CERTIFICATE_REFUSED, detail)
        return Proven(found[1], found[2], peer.spiffe_id, peer.not_after, How.CERTIFICATE, serial=peer.serial)

    async def _by_token(self, request: web.Request) -> Proven:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            needed = "a client certificate, or Authorization: Bearer with a ServiceAccount token, is needed"
            raise CallRefused(Refusal.TOKEN_MISSING, needed)
        try:
            caller = await self.reviewer.review(token.strip(), request.remote or "")
            identity = caller.spiffe_id(self.authorities.trust_domain)
        except TokenRefused as refused:
            raise CallRefused(refused.refusal, refused.detail, refused.retry_after) from refused
        if not caller.pod or not caller.uid:
            raise CallRefused(Refusal.TOKEN_REFUSED, "it is not bound to a pod; a projected one is needed")
        return Proven(
            caller.namespace,
            caller.service_account,
            identity,
            caller.expires,
            How.TOKEN,
            caller.pod,
            caller.uid,
        )
