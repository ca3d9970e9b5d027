"""One look at a bundle endpoint: who answers is proved before a request is sent, and again after each redirect.

https_web     by the certificate authorities of this machine, for the name in the URL
https_spiffe  by the bundle of the endpoint's own trust domain; the name in DNS says nothing

Source: SPIFFE Federation, 5.2.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final
from urllib.parse import urljoin

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import header
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import ResponseReader
from mesh.protocol.http1.target import Target, absolute_form
from mesh.protocol.http1.whole import AnswerTruncatable, WholeAnswer
from mesh.protocol.http1.write import encode_request_head
from webhook.identity.tls_chain import peer_chain

FETCH_SECONDS: Final = 10.0
MOST_BYTES: Final = 1024 * 1024
MOST_REDIRECTS: Final = 3
_READ_BYTES: Final = 64 * 1024
_TEMPORARY: Final = (302, 303, 307)

Check = Callable[[list[bytes]], None]
"""Takes the server's chain (DER, leaf first) and raises for one that is not who it has to be."""


class FetchFailed(Exception):
    """There is no bundle to be had there now; the other side, or the way to it, is at fault."""


async def fetch(url: str, context: ssl.SSLContext, check: Check, seconds: float = FETCH_SECONDS) -> bytes:
    """The document at `url`. Raises FetchFailed, OSError, and what `check` raises."""
    try:
        async with asyncio.timeout(seconds):
            for _ in range(MOST_REDIRECTS + 1):
                answer = await _get(_target(url), context, check)
                if answer.status == 200:
                    return answer.body
                url = _followed(url, answer)
    except HttpRefused as malformed:
        raise FetchFailed(f"{url}: no answer that can be read: {malformed.detail}") from malformed
    except AnswerTruncatable as malformed:
        raise FetchFailed(f"{url}: {malformed}") from malformed
    raise FetchFailed(f"{url}: more than {MOST_REDIRECTS} redirects")


def _followed(url: str, answer: WholeAnswer) -> str:
    location = header(answer.headers, b"location")
    if answer.status not in _TEMPORARY or location is None:
        where = "" if location is None else f" to {location.decode('ascii', 'replace')[:200]}"
        raise FetchFailed(f"{url}: status {answer.status}{where}")
    return urljoin(url, location.decode("ascii", "replace"))


def _target(url: str) -> Target:
    target = absolute_form(url.partition("#")[0].encode("utf-8", "surrogatepass"))
    if target.scheme != "https":
        raise FetchFailed(f"{url}: not https://")
    return target


async def _get(target: Target, context: ssl.SSLContext, check: Check) -> WholeAnswer:
    stream, writer = await asyncio.open_connection(
        target.host, target.port, ssl=context, server_hostname=target.host
    )
    try:
        check(peer_chain(writer.get_extra_info("ssl_object")))
        host = f"[{target.host}]" if ":" in target.host else target.host
        headers = [(b"host", f"{host}:{target.port}".encode("ascii")), (b"connection", b"close")]
        writer.write(encode_request_head("GET", target.path, headers))
        answer = WholeAnswer()
        reader = ResponseReader(answer, HttpLimits(body_bytes=MOST_BYTES))
        reader.expect("GET")
        while not answer.complete:
            if data := await stream.read(_READ_BYTES):
                reader.feed(data)
            else:
                reader.eof()
        return answer
    finally:
        writer.transport.abort()
