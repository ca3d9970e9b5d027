"""The CA as an HTTPS service: who proves to be a ServiceAccount gets that account's identity, and no other.

Speaks the protocol of mesh.identity.issuance. What a caller asks for decides nothing: its token says who it is,
its certificate request gives a key, the CA chooses identity and lifetime.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from cryptography import x509

from mesh.identity.csr import check_csr
from mesh.identity.errors import CsrInvalid, DocumentInvalid
from mesh.identity.issuance import (
    BUNDLES_PATH,
    JWT_SVID_PATH,
    MAX_REQUEST_BYTES,
    STATUS,
    SVID_PATH,
    BundlesAnswer,
    JwtSvidAnswer,
    JwtSvidRequest,
    Refusal,
    RefusedAnswer,
    SvidAnswer,
    SvidRequest,
    read_document,
    stamp,
    write_bundles,
    write_chain,
    write_document,
)
from mesh.identity.issue import issue_svid
from mesh.identity.jwt_svid import issue_jwt_svid
from mesh.identity.spiffe_id import SpiffeId
from webhook.identity.authorities import Authorities, Federated
from webhook.identity.rate_limit import RateLimit
from webhook.identity.token_reviewer import Caller, TokenRefused, TokenReviewer
from webhook.timed_site import BODY_SECONDS, KEEP_ALIVE_SECONDS, LINGER_SECONDS, head_in_time

JWT_LIFETIME = timedelta(minutes=5)
REFRESH_SECONDS = 300

Audit = Callable[[Mapping[str, object]], None]
R = TypeVar("R", SvidRequest, JwtSvidRequest)


class _Refused(Exception):
    """The caller gets this answer instead of what it asked for."""

    def __init__(self, refusal: Refusal, detail: str, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.detail = detail
        self.retry_after = retry_after


class CaServer:
    """Issues in the name of `authorities` to whom `reviewer` vouches for.

    federated  bundles of other trust domains that callers get beside ours
    audit      gets a record of each issuance and each refusal; no token, no key, no request is in it
    clock      the time, aware
    """

    def __init__(
        self,
        authorities: Authorities,
        reviewer: TokenReviewer,
        *,
        limit: RateLimit,
        audit: Audit,
        clock: Callable[[], datetime],
        federated: Federated | None = None,
        refresh_seconds: int = REFRESH_SECONDS,
    ) -> None:
        self._authorities = authorities
        self._reviewer = reviewer
        self._limit = limit
        self._audit = audit
        self._clock = clock
        self._federated = dict(federated or {})
        self._refresh = refresh_seconds

    def application(self) -> web.Application:
        """The routes; serve them with TLS."""
        middlewares = [head_in_time, self._answer_refusals]
        application = web.Application(client_max_size=MAX_REQUEST_BYTES, middlewares=middlewares)
        application.router.add_post(SVID_PATH, self._svid)
        application.router.add_post(JWT_SVID_PATH, self._jwt_svid)
        application.router.add_get(BUNDLES_PATH, self._bundles)
        return application

    def runner(self) -> web.AppRunner:
        """The application with what a server of short calls needs; the caller adds TimedSites and cleans it up."""
        return web.AppRunner(
            self.application(),
            access_log=None,
            lingering_time=LINGER_SECONDS,
            keepalive_timeout=KEEP_ALIVE_SECONDS,
        )

    async def _svid(self, request: web.Request) -> web.Response:
        caller, identity = await self._authenticated(request)
        wanted = await _body(request, SvidRequest)
        try:
            key = check_csr(wanted.csr)
        except CsrInvalid as invalid:
            raise _Refused(Refusal.CSR_REFUSED, str(invalid)) from invalid
        self._authorities.tick()
        now = self._clock()
        chain = issue_svid(self._authorities.signing, identity, key, now, self._authorities.times.svid)
        leaf = x509.load_der_x509_certificate(chain[0])
        issued = {"serial": f"{leaf.serial_number:x}", "notAfter": leaf.not_valid_after_utc.isoformat()}
        self._record("svid_issued", request, caller, spiffeId=str(identity), **issued)
        return _json(SvidAnswer(write_chain(chain), self._bundle_documents(), stamp(now), self._refresh))

    async def _jwt_svid(self, request: web.Request) -> web.Response:
        caller, identity = await self._authenticated(request)
        wanted = await _body(request, JwtSvidRequest)
        self._authorities.tick()
        now = self._clock()
        token = issue_jwt_svid(self._authorities.jwt_key, identity, wanted.audience, now, JWT_LIFETIME)
        expires = stamp(now + JWT_LIFETIME).isoformat()
        audience = list(wanted.audience)
        self._record(
            "jwt_svid_issued", request, caller, spiffeId=str(identity), audience=audience, notAfter=expires
        )
        return _json(JwtSvidAnswer(token, stamp(now)))

    async def _bundles(self, request: web.Request) -> web.Response:
        self._authorities.tick()
        return _json(BundlesAnswer(self._bundle_documents(), stamp(self._clock()), self._refresh))

    async def _authenticated(self, request: web.Request) -> tuple[Caller, SpiffeId]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _Refused(
                Refusal.TOKEN_MISSING, "Authorization: Bearer with a ServiceAccount token is needed"
            )
        try:
            caller = await self._reviewer.review(token.strip())
            identity = caller.spiffe_id(self._authorities.trust_domain)
        except TokenRefused as refused:
            raise _Refused(refused.refusal, refused.detail) from refused
        wait = self._limit.wait(str(identity) if caller.pod is None else f"{identity} {caller.pod}")
        if wait:
            raise _Refused(Refusal.RATE_LIMITED, f"{identity} asks too often", math.ceil(wait))
        return caller, identity

    def _bundle_documents(self) -> dict[str, Any]:
        own = {self._authorities.trust_domain: self._authorities.bundle(self._refresh)}
        return write_bundles({**self._federated, **own})

    @web.middleware
    async def _answer_refusals(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except _Refused as refused:
            return self._refusal(request, refused, STATUS[refused.refusal])
        except web.HTTPException as wrong:
            return self._refusal(request, _Refused(Refusal.MALFORMED, wrong.reason), wrong.status)

    def _refusal(self, request: web.Request, refused: _Refused, status: int) -> web.Response:
        self._record("refused", request, None, error=refused.refusal.value, detail=refused.detail)
        now = stamp(self._clock())
        answer = RefusedAnswer(refused.refusal.value, refused.detail, now, refused.retry_after)
        return _json(answer, status)

    def _record(self, event: str, request: web.Request, caller: Caller | None, **fields: object) -> None:
        time = stamp(self._clock()).isoformat()
        record: dict[str, object] = {"event": event, "time": time, "from": request.remote, **fields}
        if caller is not None:
            record |= {"namespace": caller.namespace, "serviceAccount": caller.service_account}
            record |= {"pod": caller.pod}
        self._audit(record)


async def _body(request: web.Request, kind: type[R]) -> R:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return read_document(await request.read(), kind)
    except TimeoutError as slow:
        raise _Refused(Refusal.MALFORMED, f"the body did not arrive within {BODY_SECONDS:g} s") from slow
    except DocumentInvalid as malformed:
        raise _Refused(Refusal.MALFORMED, str(malformed)) from malformed


def _json(document: msgspec.Struct, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(
        body=write_document(document), status=status, content_type="application/json", headers=headers
    )
