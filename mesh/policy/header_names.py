"""Which header a credential may be put into, and the word before it."""

from __future__ import annotations

import re

from mesh.policy.errors import shown

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")

# By what a request is delimited, routed and correlated, or what hops keep to themselves (RFC 9110, section 7.6.1).
_TAKEN = frozenset(
    {
        "accept",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "last-event-id",
        "te",
        "trailer",
        "traceparent",
        "tracestate",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
_TAKEN_PREFIXES = ("mcp-", "proxy-", "x-forwarded-", "sec-")
_COOKIES = frozenset({"cookie", "set-cookie"})


def header_fault(value: str) -> str | None:
    """What is wrong with the name of a header that holds a credential, or None."""
    name = value.lower()
    if not _TOKEN.fullmatch(value):
        return f"{shown(value)} is no name of a header; allowed: A-Z a-z 0-9 and !#$%&'*+.^_`|~- (RFC 9110)"
    if name in _COOKIES:
        return f"{shown(value)} would take the place of the agent's own cookies; write another header"
    if name in _TAKEN or name.startswith(_TAKEN_PREFIXES):
        return f"{shown(value)} has a meaning of its own in HTTP or MCP; write another header"
    return None


def scheme_fault(value: str) -> str | None:
    """What is wrong with an authentication scheme (empty: none), or None."""
    if not value or _TOKEN.fullmatch(value):
        return None
    return f'{shown(value)} is no scheme; allowed: one word like Bearer, or "" for the value alone'
