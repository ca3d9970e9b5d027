"""Header field lines: their grammar, and a memo of the lines already known to be well-formed.

Peers repeat themselves: nine of ten field lines of a request stood, byte for byte, in the one before it. So
a line is proved against the grammar once and afterwards found by one dictionary lookup, which is faster than
any parser. The memo is not state: with it or without it, a line always gives the same answer.
"""

from __future__ import annotations

import re
from functools import lru_cache

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import Headers, all_values
from mesh.reasons import Reason

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
# Name, colon without space before it, value without control characters (RFC 9112, section 5). A line that
# begins with white space (obs-fold) has no name and does not match.
_FIELD = re.compile(rb"(" + TOKEN + rb"++):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)")

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})

# Kept out of every memo: credentials should not outlive their request, and what is new every time is no gain. A
# Date is new every second only, and many answers carry the same.
_NEW_EVERY_TIME = frozenset(
    {
        b"baggage",
        b"last-event-id",
        b"location",
        b"referer",
        b"traceparent",
        b"tracestate",
        b"x-request-id",
    }
)
# Every service has a name of its own for its credentials, and most say what they are: Authorization, Cookie,
# X-Api-Key, Private-Token, X-Amz-Security-Token, Cf-Access-Client-Secret.
_CREDENTIAL = re.compile(rb"auth|cookie|jwt|key|passw|secret|session|signature|token")
# Kept all the same: it is in every message of a session, in both directions, and a head that is read anew costs
# 8 microseconds more than one that is known (35 in place of 27 a request in bench.path). It is no credential:
# servers must not authenticate by it (MCP, Security Best Practices, Session Hijacking), it ends with its session,
# and the memos are small.
_NO_CREDENTIAL = frozenset({b"mcp-session-id"})
_KEPT_LINES = 512
_KEPT_LINE_BYTES = 160

# Fields whose repetition makes a message mean two things, with the reason of its refusal. Other Mcp-* fields
# are checked where their meaning is known; list-valued fields may repeat.
_SINGLE: dict[bytes, Reason] = {
    b"authorization": Reason.HTTP_BAD_HEADER,
    b"content-length": Reason.HTTP_AMBIGUOUS_LENGTH,
    b"content-type": Reason.HTTP_BAD_HEADER,
    b"expect": Reason.HTTP_EXPECTATION,
    b"host": Reason.HTTP_BAD_HOST,
    b"location": Reason.HTTP_BAD_HEADER,
    b"mcp-session-id": Reason.HTTP_BAD_HEADER,
    b"origin": Reason.HTTP_BAD_HEADER,
    b"proxy-authorization": Reason.HTTP_BAD_HEADER,
    b"transfer-encoding": Reason.HTTP_AMBIGUOUS_LENGTH,
}


@lru_cache(maxsize=512)
def may_be_kept(name: bytes) -> bool:
    """Whether a field with this name (in lower case) may be remembered beyond its message."""
    return name not in _NEW_EVERY_TIME and not holds_credential(name)


@lru_cache(maxsize=512)
def holds_credential(name: bytes) -> bool:
    """Whether a field with this name (in lower case) says that it holds a credential."""
    return name not in _NO_CREDENTIAL and _CREDENTIAL.search(name) is not None


class FieldLines(dict[bytes, tuple[bytes, bytes]]):
    """Maps a field line (without CRLF) to its name and value; a bounded memo of a pure function."""

    __slots__ = ()

    def __missing__(self, line: bytes) -> tuple[bytes, bytes]:
        """Parse a line not seen yet. Raises HttpRefused(HTTP_BAD_HEADER)."""
        field = parse_field(line)
        if len(line) <= _KEPT_LINE_BYTES and may_be_kept(field[0]):
            if len(self) >= _KEPT_LINES:
                self.clear()
            self[line] = field
        return field


FIELD_LINES = FieldLines()
"""Shared by every reader of the process, so that a new connection finds the lines of the last one."""


def parse_field(line: bytes) -> tuple[bytes, bytes]:
    """Name in lower case and value of a field line.

    Raises HttpRefused(HTTP_BAD_HEADER), or HTTP_AMBIGUOUS_LENGTH for a tab beside a length or coding: white
    space to the RFC, part of the value to some parsers.
    """
    match = _FIELD.fullmatch(line)
    if match is None:
        raise HttpRefused(Reason.HTTP_BAD_HEADER, _what_is_wrong(line))
    raw, value = match.groups()
    name = raw.lower()
    if name in _FRAMING and b"\t" in line:
        raise HttpRefused(Reason.HTTP_AMBIGUOUS_LENGTH, f"there is a tab in {name.decode('ascii')}")
    return name, value.rstrip(b" \t")


def settle_repeated(headers: Headers, known: dict[bytes, bytes]) -> None:
    """Refuse a second field of a kind that may stand only once; put all of Connection into `known`.

    `known` is the dict of `headers`. Raises HttpRefused.
    """
    seen: set[bytes] = set()
    for name, _ in headers:
        if name in seen and name in _SINGLE:
            raise HttpRefused(_SINGLE[name], f"{name.decode('ascii')} is repeated")
        seen.add(name)
    if b"connection" in seen:
        known[b"connection"] = b",".join(all_values(headers, b"connection"))


def list_members(value: bytes) -> list[bytes]:
    """The members of a comma-separated value such as Connection's, in lower case, without empty ones."""
    members = (member.strip(b" \t") for member in value.lower().split(b","))
    return [member for member in members if member]


def _what_is_wrong(line: bytes) -> str:
    name, colon, _ = line.partition(b":")
    if line[:1] in (b" ", b"\t"):
        return "a header line is folded"
    if not colon:
        return "a header line has no colon"
    if not name:
        return "a header has no name"
    if name[-1:] in (b" ", b"\t"):
        return "there is white space before the colon of a header"
    if re.fullmatch(TOKEN + rb"++", name) is None:
        return "a header name is no token"
    return "a header value holds a control character"
