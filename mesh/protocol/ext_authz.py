"""What an external authorization service is shown of a request, and what its yes may change (Envoy's ext_authz).

Over HTTP the question is the request itself, without its body as a rule: same method, its path behind a prefix,
and the fields that the policy allows. 200 is a yes, and nothing else is (Gateway API, HTTPExternalAuthFilter).
What both protocols share is here: which fields are shown, and how the fields of an approval are put into the
request.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mesh.protocol.http1.fields import list_members
from mesh.protocol.http1.heads import Headers
from mesh.protocol.http1.write import HOP_BY_HOP, encode_request_head, end_to_end

ALLOWED_STATUS: Final = 200

PARTIAL_BODY: Final = b"x-envoy-auth-partial-body"
"""Told beside a body: whether it was cut. Ours is never cut, since what a service does not see it cannot judge."""

TO_REMOVE: Final = b"x-envoy-auth-headers-to-remove"
"""Names of fields that an answer over HTTP takes out of the request."""

_ALWAYS_SHOWN: Final = frozenset({b"authorization"})
"""Besides Host, method, path and Content-Length, which are made here (Gateway API, HTTPAuthConfig)."""

_NEVER_SHOWN: Final = frozenset(
    {b"host", b"content-length", b"expect", b"x-forwarded-client-cert", PARTIAL_BODY}
)
"""Made here, or something that a client must not be able to say of itself."""

_OURS: Final = frozenset(
    {b"host", b"authority", b"date", b"expect", b"accept-encoding", b"x-forwarded-client-cert", TO_REMOVE}
)
"""Fields that no answer changes: where a request goes, how it is framed, and what was inspected in it."""
_OUR_PREFIXES: Final = (b"content-", b"mcp-", b"proxy-", b":")

_TOKEN: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class CheckUnusable(Exception):
    """The service's answer is neither a yes nor a no that can be followed: the service's side."""


class CheckDenied(Exception):
    """The service said no; the text is for the log alone."""


class Put(Enum):
    """How a field of an approval is put into the request."""

    SET = "set"
    APPEND = "append"
    ADD_IF_ABSENT = "add-if-absent"
    SET_IF_PRESENT = "set-if-present"


@dataclass(frozen=True, slots=True)
class Approval:
    """A yes. `puts`: (how, name in lower case, value) in order; `removed`: names of fields to take out."""

    puts: tuple[tuple[Put, bytes, bytes], ...] = ()
    removed: frozenset[bytes] = frozenset()

    def applied(self, headers: Headers) -> Headers:
        """The request's fields with the changes made; the same list where there are none."""
        if not self.puts and not self.removed:
            return headers
        present = {name for name, _ in headers}
        overwritten = {name for how, name, _ in self.puts if how in (Put.SET, Put.SET_IF_PRESENT)}
        kept = [field for field in headers if field[0] not in overwritten]
        for how, name, value in self.puts:
            if how is Put.ADD_IF_ABSENT and name in present:
                continue
            if how is Put.SET_IF_PRESENT and name not in present:
                continue
            kept.append((name, value))
        return [field for field in kept if field[0] not in self.removed]


def may_change(name: bytes) -> bool:
    """Whether an approval may set or remove this field of a request."""
    return name not in _OURS and name not in HOP_BY_HOP and not name.startswith(_OUR_PREFIXES)


def well_formed(name: bytes, value: bytes) -> bool:
    """Whether this can stand in a head as one field (RFC 9110, section 5)."""
    return bool(name) and _TOKEN.issuperset(name) and not any(byte in value for byte in (b"\r", b"\n", b"\0"))


def shown_headers(headers: Headers, allowed: Collection[str] | None) -> Headers:
    """The request's fields that the service may see: those of `allowed` (lower case), None for all."""
    travelling = [field for field in end_to_end(headers) if field[0] not in _NEVER_SHOWN]
    if allowed is None:
        return travelling
    names = _ALWAYS_SHOWN.union(name.encode("latin-1") for name in allowed)
    return [field for field in travelling if field[0] in names]


def check_path(prefix: str, path: bytes) -> bytes:
    """Where the question goes: the request's own origin-form target behind `prefix`."""
    before = b"/" + prefix.strip("/").encode("ascii") if prefix.strip("/") else b""
    return before + path if path[:1] == b"/" else before or path


def check_request(
    method: str,
    path: bytes,
    host: bytes,
    headers: Headers,
    body: bytes | None,
    *,
    prefix: str = "",
    allowed: Collection[str] | None = (),
) -> bytes:
    """The whole question over HTTP. `body` is None where the policy does not forward it.

    Raises ValueError for a prefix that is no path.
    """
    content = body or b""
    fields: Headers = [(b"host", host), *shown_headers(headers, allowed)]
    fields.append((b"content-length", b"%d" % len(content)))
    if body is not None:
        fields.append((PARTIAL_BODY, b"false"))
    target = check_path(prefix, path)
    if any(byte <= 0x20 or byte >= 0x7F for byte in target):
        raise ValueError("the path of a question holds what no path may")
    return encode_request_head(method, target, fields) + content


def approval(status: int, headers: Headers, allowed: Collection[str] | None) -> Approval:
    """What an answer over HTTP says; its fields of `allowed` (None: all) go into the request.

    Raises CheckDenied for every status but 200.
    """
    if status != ALLOWED_STATUS:
        raise CheckDenied(f"status {status}")
    names = None if allowed is None else {name.encode("latin-1") for name in allowed}
    puts = tuple(
        (Put.SET, name, value)
        for name, value in end_to_end(headers)
        if may_change(name) and (names is None or name in names)
    )
    removed = {
        name.lower() for field, value in headers if field == TO_REMOVE for name in list_members(value.lower())
    }
    return Approval(puts, frozenset(filter(may_change, removed)))
