"""The CA's calls: who proves to be a ServiceAccount gets that account's identity, and no other.

Speaks the protocol of mesh.identity.issuance. What a caller asks for decides nothing: it is proved who calls, the
certificate request gives a key, the CA chooses identity and lifetime.

An SVID proves its account only as long as pods of that account run: by itself it could be renewed for ever, by
whoever has stolen it, long after its pods or the account are gone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from aiohttp import web
from cryptography import x509

from mesh.identity.ca import Authority
from mesh.identity.csr import check_csr
from mesh.identity.errors import CsrInvalid, DocumentInvalid
from mesh.identity.issuance import (
    BUNDLES_PATH,
    JWT_SVID_PATH,
    SVID_PATH,
    BundlesAnswer,
    JwtSvidAnswer,
    JwtSvidRequest,
    Refusal,
    SvidAnswer,
    SvidRequest,
    read_document,
    stamp,
    write_bundles,
    write_chain,
)
from mesh.identity.issue import issue_svid
from mesh.identity.jwt_svid import issue_jwt_svid
from webhook.identity.answers import Audit, json_answer
from webhook.identity.authorities import Authorities, Federated, NotSigning
from webhook.identity.callers import CallRefused, How, Proven, who
from webhook.identity.rate_limit import RateLimit
from webhook.timed_site import BODY_SECONDS

REFRESH_SECONDS = 300
RETRY_SECONDS = 5

R = TypeVar("R", SvidRequest, JwtSvidRequest)
Runs = Callable[[str, str], bool | None]
"""Does a pod of this namespace and ServiceAccount run? None while nobody knows."""


class CaServer:
    """Issues in the name of `authorities` to whoever proves to be a workload.

    audit      gets a record of each issuance; no token, no key, no request is in it
    clock      the time, aware
    federated  bundles of other trust domains that callers get beside ours, as they are now
    issuer     `iss` of tokens, for those who verify them as OpenID Connect does
    runs       whose SVIDs still prove something; without it all that have not expired
    """

    def __init__(
        self,
        authorities: Authorities,
        *,
        limit: RateLimit,
        audit: Audit,
        clock: Callable[[], datetime],
        federated: Callable[[], Federated] = dict,
        refresh_seconds: int = REFRESH_SECONDS,
        issuer: str | None = None,
        runs: Runs | None = None,
    ) -> None:
        self._authorities = authorities
        self._limit = limit
        self._audit = audit
        self._clock = clock
        self._federated = federated
        self._refresh = refresh_seconds
        self._issuer = issuer
        self._runs = runs

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """The three calls."""
        router.add_post(SVID_PATH, self._svid)
        router.add_post(JWT_SVID_PATH, self._jwt_svid)
        router.add_get(BUNDLES_PATH, self._bundles)

    async def _svid(self, request: web.Request) -> web.Response:
        caller = await self._proven(request)
        wanted = await _body(request, SvidRequest)
        try:
            key = check_csr(wanted.csr)
        except CsrInvalid as invalid:
            raise CallRefused(Refusal.CSR_REFUSED, str(invalid)) from invalid
        now, authority = self._clock(), self._signing()
        chain = issue_svid(authority, caller.spiffe_id, key, now, self._authorities.times.svid)
        leaf = x509.load_der_x509_certificate(chain[0])
        issued = {
            "serial": f"{leaf.serial_number:x}",
            "issuerSerial": f"{authority.certificate.serial_number:x}",
            "notAfter": leaf.not_valid_after_utc.isoformat(),
        }
        self._record("svid_issued", request, caller, **issued)
        return json_answer(
            SvidAnswer(write_chain(chain), self._bundle_documents(), stamp(now), self._refresh)
        )

    async def _jwt_svid(self, request: web.Request) -> web.Response:
        caller = await self._proven(request)
        wanted = await _body(request, JwtSvidRequest)
        now, lifetime = self._clock(), self._authorities.times.jwt_svid
        try:
            key = self._authorities.jwt_key
        except NotSigning as unknown:
            raise _unavailable(unknown) from unknown
        token = issue_jwt_svid(key, caller.spiffe_id, wanted.audience, now, lifetime, self._issuer)
        expires = stamp(now + lifetime).isoformat()
        self._record(
            "jwt_svid_issued",
            request,
            caller,
            audience=list(wanted.audience),
            keyId=key.key_id,
            notAfter=expires,
        )
        return json_answer(JwtSvidAnswer(token, stamp(now)))

    async def _bundles(self, request: web.Request) -> web.Response:
        return json_answer(BundlesAnswer(self._bundle_documents(), stamp(self._clock()), self._refresh))

    async def _proven(self, request: web.Request) -> Proven:
        caller = await who(request)
        wait = self._limit.wait(caller.at(request.remote))
        if wait:
            raise CallRefused(Refusal.RATE_LIMITED, f"{caller.spiffe_id} asks too often", math.ceil(wait))
        if caller.how is How.CERTIFICATE and self._runs is not None:
            _check_runs(caller, self._runs(caller.namespace, caller.service_account))
        return caller

    def _signing(self) -> Authority:
        try:
            return self._authorities.signing
        except NotSigning as unknown:
            raise _unavailable(unknown) from unknown

    def _bundle_documents(self) -> dict[str, Any]:
        try:
            own = {self._authorities.trust_domain: self._authorities.bundle(self._refresh)}
        except NotSigning as unknown:
            raise _unavailable(unknown) from unknown
        return write_bundles({**self._federated(), **own})

    def _record(self, event: str, request: web.Request, caller: Proven, **fields: object) -> None:
        record: dict[str, object] = {
            "event": event,
            "time": stamp(self._clock()).isoformat(),
            "from": request.remote,
            "spiffeId": str(caller.spiffe_id),
            "namespace": caller.namespace,
            "serviceAccount": caller.service_account,
            "provedBy": str(caller.how),
            **_if_known(pod=caller.pod, podUid=caller.uid, provedSerial=caller.serial),
            **fields,
        }
        self._audit(record)


def _check_runs(caller: Proven, runs: bool | None) -> None:
    if runs is None:
        detail = "the pods of the cluster have not been listed yet"
        raise CallRefused(Refusal.UNAVAILABLE, detail, RETRY_SECONDS)
    if not runs:
        detail = f"no pod of {caller.spiffe_id} runs: a token of such a pod is needed"
        raise CallRefused(Refusal.CERTIFICATE_REFUSED, detail)


def _if_known(**fields: str | None) -> Mapping[str, object]:
    return {name: value for name, value in fields.items() if value}


def _unavailable(unknown: NotSigning) -> CallRefused:
    return CallRefused(Refusal.UNAVAILABLE, str(unknown), RETRY_SECONDS)


async def _body(request: web.Request, kind: type[R]) -> R:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return read_document(await request.read(), kind)
    except TimeoutError as slow:
        raise CallRefused(Refusal.MALFORMED, f"the body did not arrive within {BODY_SECONDS:g} s") from slow
    except DocumentInvalid as malformed:
        raise CallRefused(Refusal.MALFORMED, str(malformed)) from malformed
