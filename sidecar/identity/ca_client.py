"""Asking the mesh's own CA, which is the control plane's: each call over HTTPS to a server that roots vouch for.

Our SVID proves us while there is one, so that renewal needs nobody but the CA; the token proves us before that,
and where the SVID is refused.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mesh.identity.errors import DocumentInvalid
from mesh.identity.issuance import (
    BUNDLES_PATH,
    JWT_SVID_PATH,
    MAX_ANSWER_BYTES,
    SVID_PATH,
    BundlesAnswer,
    JwtSvidAnswer,
    JwtSvidRequest,
    SvidAnswer,
    SvidRequest,
    read_document,
    write_document,
)
from mesh.identity.svid import X509Svid
from mesh.protocol.http1.heads import Headers
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.target import Target
from mesh.protocol.http1.whole import AnswerTruncatable
from sidecar.control.failed import CallFailed, Cause, explained, place, refused
from sidecar.control.proof import Proof
from sidecar.control.trust import ControlTrust
from sidecar.identity.https_call import HttpsAnswer, HttpsCall, https_call

CALL_SECONDS = 10.0
_OF_THE_SVID = (Cause.CERTIFICATE_REFUSED, Cause.CALLER_REFUSED, Cause.TOKEN_MISSING, Cause.MALFORMED)

A = TypeVar("A", SvidAnswer, BundlesAnswer, JwtSvidAnswer)


@dataclass(frozen=True, slots=True)
class CaClient:
    """The CA at `server`, which `trust` recognises.

    `token` is the file that proves us; `own` gives the SVID that does so instead, if there is one.
    """

    server: Target
    trust: ControlTrust
    token: Path
    seconds: float = CALL_SECONDS
    own: Callable[[], X509Svid | None] = lambda: None

    async def svid(self, csr: str) -> SvidAnswer:
        """Have the key of `csr` certified; raises CallFailed."""
        return await self._proven(SVID_PATH, SvidRequest(csr), SvidAnswer)

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvidAnswer:
        """A token for `audience`; raises CallFailed."""
        return await self._proven(JWT_SVID_PATH, JwtSvidRequest(audience), JwtSvidAnswer)

    async def bundles(self) -> BundlesAnswer:
        """The bundles, which are no secret: this call needs no token. Raises CallFailed."""
        return await self._ask("GET", BUNDLES_PATH, None, BundlesAnswer)

    async def _proven(self, path: str, request: SvidRequest | JwtSvidRequest, kind: type[A]) -> A:
        if (svid := self.own()) is not None:
            try:
                return await self._ask("POST", path, request, kind, Proof(self.token, svid))
            except CallFailed as failed:
                if not _about_the_svid(failed):
                    raise
        return await self._ask("POST", path, request, kind, Proof(self.token))

    async def _ask(
        self,
        method: str,
        path: str,
        request: SvidRequest | JwtSvidRequest | None,
        kind: type[A],
        proof: Proof | None = None,
    ) -> A:
        headers: Headers = [(b"accept", b"application/json")]
        body = b""
        context = self.trust.context()
        if proof is not None:
            proof.onto(context)
            headers += await proof.headers()
        if request is not None:
            headers += [(b"content-type", b"application/json")]
            body = write_document(request)
        call = HttpsCall(method, self.server.path.rstrip(b"/") + path.encode("ascii"), headers, body)
        answer = await self._call(call, context)
        if answer.status != 200:
            raise refused(answer.status, answer.body)
        try:
            return read_document(answer.body, kind)
        except DocumentInvalid as malformed:
            raise CallFailed(Cause.MALFORMED, f"the CA's answer cannot be used: {malformed}") from malformed

    async def _call(self, call: HttpsCall, context: ssl.SSLContext) -> HttpsAnswer:
        limits = HttpLimits(body_bytes=MAX_ANSWER_BYTES)
        with explained(self.server, self.seconds):
            try:
                return await https_call(self.server, call, context, seconds=self.seconds, limits=limits)
            except AnswerTruncatable as malformed:
                raise CallFailed(Cause.MALFORMED, f"{place(self.server)}: {malformed}") from malformed


def _about_the_svid(failed: CallFailed) -> bool:
    """Whether the token may do better. Servers that refuse a client's certificate may end without a word."""
    lost = failed.__cause__
    ended = isinstance(lost, ConnectionError) and not isinstance(lost, ConnectionRefusedError)
    return failed.cause in _OF_THE_SVID or ended
