"""A request's placeholders become the secrets that its Backend gets; any other placeholder stops it.

Each part is searched first, and stays the object that it is where nothing is found. What is put in is spelled as
its place needs: percent-encoded in targets and forms, escaped in JSON and XML, as it is in header fields and text.
In JSON a placeholder is replaced among the bytes: its characters can stand nowhere but in a string, there they
mean themselves, and the escaped secret means the secret there; so everything else stays as it was, to the byte.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote

from msgspec import structs

from mesh.protocol.http1.heads import Headers, RequestHead
from mesh.reasons import Reason
from sidecar.credentials.issued import CredentialRefused
from sidecar.hidden import find
from sidecar.hidden.secrets import Grants

_MAY_HOLD = "may hold placeholders"
_BASIC = re.compile(rb"(basic\s+)([A-Za-z0-9+/=_-]+)\s*", re.IGNORECASE)
_B = (b"b", b"B")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# From within a string of JSON to its end, and the colon after it: the string is a key.
_REST_OF_A_KEY = re.compile(rb'(?:[^"\\]|\\.)*+"\s*+:', re.DOTALL)

_Spell = Callable[[bytes], bytes | None]
"""None where a secret cannot stand in this place."""


class Stopped(Exception):
    """The request holds placeholders whose secrets its Backend does not get (PLACEHOLDER_STOPPED).

    Somebody has the agent send a secret elsewhere, or the agent is set up wrongly. Nothing of it may leave.
    """

    def __init__(self, placeholders: tuple[bytes, ...]) -> None:
        super().__init__(f"{len(placeholders)} placeholders of hidden secrets")
        self.placeholders = placeholders


class Unusable(CredentialRefused):
    """A secret that its Backend gets is not there, or cannot stand where its placeholder does."""

    def __init__(self, placeholder: bytes, why: str) -> None:
        super().__init__(Reason.CREDENTIAL_SECRET_MISSING, why)
        self.placeholder = placeholder


def may_hold(head: RequestHead) -> bool:
    """Whether a placeholder may be in the head; found out once for requests with the same head."""
    known: bool | None = head.memo.get(_MAY_HOLD)
    if known is None:
        known = head.memo[_MAY_HOLD] = find.may_hold(_whole(head.target, head.headers)) or any(
            find.PREFIX in _basic(value) for _, value in head.headers
        )
    return known


def swap_head(head: RequestHead, grants: Grants) -> RequestHead:
    """The head with secrets in its target and fields; the very same where it holds no placeholder.

    Raises Stopped, and Unusable where a secret is not there, or cannot stand in a header field.
    """
    if not may_hold(head):
        return head
    target, headers = swap_target(head.target, grants), swap_headers(head.headers, grants)
    if target is head.target and headers is head.headers:
        return head
    left = dict(headers)
    # Connection is joined where it is repeated.
    fields = {name: head.fields[name] if name == b"connection" else value for name, value in left.items()}
    return structs.replace(head, target=target, headers=headers, fields=fields, memo={})


def swap_target(target: bytes, grants: Grants) -> bytes:
    """Path and query. Raises as `swap_head`."""
    if not find.may_hold(target):
        return target
    _check(find.placeholders_in(target), grants)
    return _put(target, find.PERCENT, grants, _percent)


def swap_headers(headers: Headers, grants: Grants) -> Headers:
    """Values, and within Basic its user or password. Raises as `swap_head`."""
    whole = _whole(b"", headers)
    basics = [_basic(value) if value[:1] in _B else b"" for _, value in headers]
    if not any(basics) and not find.may_hold(whole):
        return headers
    found = find.placeholders_in(whole)
    _check(found.union(*(find.PLAIN.findall(basic) for basic in basics if find.PREFIX in basic)), grants)
    swapped = [
        (name, _value(value, basic, grants)) for (name, value), basic in zip(headers, basics, strict=True)
    ]
    return headers if swapped == headers else swapped


def swap_body(body: bytes, media_type: bytes | None, grants: Grants) -> bytes:
    """A whole body, not compressed; the very same where it holds no placeholder.

    A kind of body whose spelling is not known keeps its placeholders. Raises as `swap_head`.
    """
    if not find.may_hold(body):
        return body
    _check(find.placeholders_in(body), grants)
    kind = (media_type or b"").partition(b";")[0].strip().lower()
    if b"json" in kind:
        return _put(body, find.JSON, grants, _json, _is_key)
    if kind == b"application/x-www-form-urlencoded":
        return _put(body, find.PERCENT, grants, _percent)
    if kind.endswith(b"xml"):
        return _put(body, find.PLAIN, grants, _xml)
    if not kind or kind.startswith((b"text/", b"multipart/")) or kind == b"application/graphql":
        return _put(body, find.PLAIN, grants, bytes)
    return body


def readable(head: RequestHead) -> bool:
    """Whether the body can be searched: it is not compressed (PLACEHOLDER_UNREADABLE)."""
    coding = head.fields.get(b"content-encoding")
    return coding is None or coding.strip().lower() in (b"", b"identity")


def _check(found: frozenset[bytes], grants: Grants) -> None:
    stopped = (found & grants.known).difference(grants.secrets)
    if stopped:
        raise Stopped(tuple(sorted(stopped)))


def _never(body: bytes, end: int) -> bool:
    return False


def _put(
    text: bytes,
    spelling: re.Pattern[bytes],
    grants: Grants,
    spell: _Spell,
    left: Callable[[bytes, int], bool] = _never,
) -> bytes:
    """`text` with each placeholder that has a secret replaced, but for those that `left` says to leave."""

    def one(match: re.Match[bytes]) -> bytes:
        fake = find.plain(match[0])
        if fake not in grants.secrets or left(text, match.end()):
            return match[0]
        secret = grants.secrets[fake]
        if secret is None:
            raise Unusable(fake, "its Secret is not there, or has no such key")
        spelt = spell(secret)
        if spelt is None:
            raise Unusable(fake, "its Secret has line breaks, and cannot stand in a header")
        return spelt

    return find.narrowest(spelling, text).sub(one, text)


def _value(value: bytes, basic: bytes, grants: Grants) -> bytes:
    if find.PREFIX in basic:
        swapped = _put(basic, find.PLAIN, grants, bytes)
        scheme = _BASIC.fullmatch(value)
        begins = scheme[1] if scheme else b""
        return value if swapped == basic else begins + base64.b64encode(swapped)
    if find.PREFIX in value or b"%" in value:
        return _put(value, find.PERCENT, grants, _field)
    return value


def _basic(value: bytes) -> bytes:
    """User and password of Basic (RFC 7617), b"" for anything else."""
    match = _BASIC.fullmatch(value)
    if match is None:
        return b""
    encoded = match[2].translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4))
    except binascii.Error:
        return b""


def _field(secret: bytes) -> bytes | None:
    return None if _CONTROL.search(secret) else secret


def _percent(secret: bytes) -> bytes:
    return quote(secret, safe="").encode()


def _json(secret: bytes) -> bytes:
    return json.dumps(secret.decode())[1:-1].encode()


def _xml(secret: bytes) -> bytes:
    # Its numeric references are XML's too, and xml.sax would bring an HTTP client with it.
    return html.escape(secret.decode()).encode()


def _is_key(body: bytes, end: int) -> bool:
    return _REST_OF_A_KEY.match(body, end) is not None


def _whole(target: bytes, headers: Headers) -> bytes:
    return b"\n".join((target, *(part for field in headers for part in field)))
