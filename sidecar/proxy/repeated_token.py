"""A caller's token that stands in more places than Authorization: gateways repeat it in fields of their own.

What the application may not hold it must not find there. It is looked for in the query and in every field, as it
is and percent-encoded, in one search. The body is not looked into, nor anything that is encoded as a whole.
"""

from __future__ import annotations

import re
from urllib.parse import quote, unquote_to_bytes

from msgspec import structs

from mesh.protocol.http1.edited import with_headers
from mesh.protocol.http1.heads import Headers, RequestHead

_RUN = re.compile(rb"[A-Za-z0-9._~+/%-]+")
_KEPT = "/+~"


def replaced(head: RequestHead, token: bytes, instead: bytes) -> RequestHead:
    """The head with `instead` wherever the token stood; the very same where it did not.

    A field of which nothing is left is left out.
    """
    said = b"\n".join([head.target, *[value for _, value in head.headers]])
    if token not in said and (b"%" not in said or token not in unquote_to_bytes(said)):
        return head
    headers: Headers = []
    for name, value in head.headers:
        shown = _in_text(value, token, instead)
        if shown.strip() or not value:
            headers.append((name, shown))
    path, mark, query = head.target.partition(b"?")
    return structs.replace(with_headers(head, headers), target=path + mark + _in_text(query, token, instead))


def _in_text(text: bytes, token: bytes, instead: bytes) -> bytes:
    text = text.replace(token, instead)
    if b"%" not in text or token not in unquote_to_bytes(text):
        return text

    def run(found: re.Match[bytes]) -> bytes:
        plain = unquote_to_bytes(found[0])
        return quote(plain.replace(token, instead), safe=_KEPT).encode() if token in plain else found[0]

    return _RUN.sub(run, text)
