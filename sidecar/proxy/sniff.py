"""Is this JSON-RPC? Asked beside MCP endpoints, where plain HTTP may pass and a hidden tools/call may not.

The question is not what we would read but what the most lenient server might: one that takes any media type with
"json" in it, folds the case of member names, or guesses the encoding from the first bytes. Whatever such a server
could take for JSON-RPC goes to the strict treatment, which refuses what it cannot read.
"""

from __future__ import annotations

import re
from typing import Any

from mesh.protocol.http1.heads import Headers, RequestHead, all_values
from mesh.protocol.jsonrpc import JsonRpcRefused, Kind, messages
from mesh.protocol.strict_json import JsonRefused, parse
from sidecar.limits import Limits
from sidecar.proxy.plan import Id

_OPENINGS = b"{[\x00\xef\xfe\xff"
"""First bytes of JSON in some encoding: an object or array, UTF-16 or UTF-32, or a byte order mark."""

_WHITE_SPACE = b" \t\r\n"
_FORM_TYPE = re.compile(rb"application/x-www-form-urlencoded(;\s*charset=utf-8)?", re.IGNORECASE)
_FORM = re.compile(rb"[A-Za-z0-9%+&=*._~!'()/:,;@$?-]*")
_PLAIN_CHARSETS = (b"utf-8", b"us-ascii", b"iso-8859-1")
_IDENTITY = (b"", b"identity")


def looks_like_json(headers: Headers) -> bool:
    """The media type says JSON, in whatever spelling."""
    return any(b"json" in value.lower() for value in all_values(headers, b"content-type"))


def speaks_json_rpc(head: RequestHead, body: bytes) -> bool:
    """True unless the body surely is no JSON-RPC."""
    if not body:
        return False
    if any(value.lower() not in _IDENTITY for value in all_values(head.headers, b"content-encoding")):
        return True
    if _odd_charset(head.headers):
        return True
    if _FORM_TYPE.fullmatch(head.fields.get(b"content-type", b"")) and _FORM.fullmatch(body):
        return False
    opening = body.lstrip(_WHITE_SPACE)[:1]
    if opening not in _OPENINGS and not looks_like_json(head.headers):
        return False
    try:
        value = parse(body).value
    except JsonRefused:
        return True
    return is_message(value)


def _odd_charset(headers: Headers) -> bool:
    """Whether a server that decodes by charset would read other characters than stand there (UTF-7, say)."""
    for value in all_values(headers, b"content-type"):
        for parameter in value.lower().split(b";")[1:]:
            name, _, charset = parameter.partition(b"=")
            if b"charset" in name and charset.strip(b" \t\"'") not in _PLAIN_CHARSETS:
                return True
    return False


def is_message(value: Any) -> bool:
    """Whether a lenient reader could take this JSON for a JSON-RPC message, or for a batch with one in it."""
    return any(map(_may_be_message, value)) if isinstance(value, list) else _may_be_message(value)


def _may_be_message(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    # Names that fold into one are not collapsed: readers differ on which of them counts.
    names = {name.casefold() for name in value}
    if "jsonrpc" in names:
        return True
    method = any(name.casefold() == "method" and isinstance(item, str) for name, item in value.items())
    called = method and not names.isdisjoint(("id", "params"))
    return called or ("id" in names and not names.isdisjoint(("result", "error")))


def pending_ids(body: bytes, limits: Limits) -> tuple[Id, ...]:
    """Ids of the JSON-RPC requests in a body that is refused anyway; empty if it is none."""
    try:
        found, _ = messages(parse(body, max_depth=limits.json_depth).value, max_batch=limits.batch)
    except (JsonRefused, JsonRpcRefused):
        return ()
    return tuple(m.id for m in found if m.kind is Kind.REQUEST and m.id is not None)
