"""One call of an API that hands out credentials, with its failures as refusals of the Backend's credential."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from mesh.identity.jwt_svid import JwtSvid
from mesh.protocol.api_answer import Call
from mesh.protocol.oauth.token_refusal import NoToken
from mesh.reasons import Reason
from sidecar.credentials.fetch import Fetched, FetchFailed
from sidecar.credentials.issued import CredentialRefused
from sidecar.credentials.mint.token_endpoint import Parts, refused


async def send(call: Call, parts: Parts) -> Fetched:
    """The answer, whatever its status. Raises CredentialRefused where there is none."""
    try:
        return await parts.fetch(call.method, call.url, call.headers, call.body)
    except FetchFailed as failed:
        reason = Reason.CREDENTIAL_PLAIN_TEXT if failed.plain_text else Reason.CREDENTIAL_UNAVAILABLE
        raise refused(reason, failed.detail, parts) from failed


@contextmanager
def asking(url: str, parts: Parts) -> Iterator[None]:
    """What is raised inside names the Backend and the host."""
    try:
        yield
    except NoToken as no:
        host = urlsplit(url).netloc.rpartition("@")[2]
        raise refused(no.reason, f"{host}: {no.detail}", parts, no.retry_after) from None


async def own_svid(audience: str, parts: Parts) -> JwtSvid:
    """Our JWT-SVID for `audience`. Raises CredentialRefused."""
    try:
        return await parts.proof.svid(audience)
    except CredentialRefused as no:
        raise refused(no.reason, no.detail, parts, no.retry_after) from no
