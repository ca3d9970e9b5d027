"""Asking the mesh's own CA, which is the control plane's: each call over HTTPS to a server that roots vouch for.

The token is read afresh for each call, because the kubelet replaces it while the process runs.
"""

from __future__ import annotations

import asyncio
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
from mesh.protocol.http1.heads import Headers
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.target import Target
from sidecar.control.failed import CallFailed, Cause, authorization, explained, place, refused
from sidecar.control.trust import ControlTrust
from sidecar.identity.https_call import AnswerTruncatable, HttpsAnswer, HttpsCall, https_call
from sidecar.identity.identity_files import read_files

CALL_SECONDS = 10.0

A = TypeVar("A", SvidAnswer, BundlesAnswer, JwtSvidAnswer)


@dataclass(frozen=True, slots=True)
class CaClient:
    """The CA at `server`, which `trust` recognises; `token` is the file that proves us."""

    server: Target
    trust: ControlTrust
    token: Path
    seconds: float = CALL_SECONDS

    async def svid(self, csr: str) -> SvidAnswer:
        """Have the key of `csr` certified; raises CallFailed."""
        return await self._ask("POST", SVID_PATH, SvidRequest(csr), SvidAnswer)

    async def jwt_svid(self, audience: tuple[str, ...]) -> JwtSvidAnswer:
        """A token for `audience`; raises CallFailed."""
        return await self._ask("POST", JWT_SVID_PATH, JwtSvidRequest(audience), JwtSvidAnswer)

    async def bundles(self) -> BundlesAnswer:
        """The bundles, which are no secret: this call needs no token. Raises CallFailed."""
        return await self._ask("GET", BUNDLES_PATH, None, BundlesAnswer)

    async def _ask(
        self, method: str, path: str, request: SvidRequest | JwtSvidRequest | None, kind: type[A]
    ) -> A:
        headers: Headers = [(b"accept", b"application/json")]
        body = b""
        if request is not None:
            files = await asyncio.to_thread(read_files, (self.token,))
            headers += [authorization(self.token, files[self.token])]
            headers += [(b"content-type", b"application/json")]
            body = write_document(request)
        call = HttpsCall(method, self.server.path.rstrip(b"/") + path.encode("ascii"), headers, body)
        answer = await self._call(call)
        if answer.status != 200:
            raise refused(answer.status, answer.body)
        try:
            return read_document(answer.body, kind)
        except DocumentInvalid as malformed:
            raise CallFailed(Cause.MALFORMED, f"the CA's answer cannot be used: {malformed}") from malformed

    async def _call(self, call: HttpsCall) -> HttpsAnswer:
        limits = HttpLimits(body_bytes=MAX_ANSWER_BYTES)
        context = self.trust.context()
        with explained(self.server, self.seconds):
            try:
                return await https_call(self.server, call, context, seconds=self.seconds, limits=limits)
            except AnswerTruncatable as malformed:
                raise CallFailed(Cause.MALFORMED, f"{place(self.server)}: {malformed}") from malformed
