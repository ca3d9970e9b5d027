"""SPIFFE IDs in policies: the grammar, and patterns over them.

A pattern names one trust domain exactly, since that is who vouches for the rest. `*` and `?` stay inside a
path segment, so that `spiffe://td/ns/*/sa/x` cannot be met by an ID with more segments; a last segment that
is just `*` means everything below.
"""

from __future__ import annotations

import re

from mesh.identity.errors import SpiffeIdInvalid
from mesh.identity.spiffe_id import SCHEME, SpiffeId
from mesh.policy.principal import UNAUTHENTICATED

ANY_PEER = "*"
"""Any authenticated peer, and nobody else."""
NOBODY = UNAUTHENTICATED.id
"""Callers without mutual TLS, where a sidecar takes them at all (`inbound.mode: permissive`)."""
MAX_STARS_IN_SEGMENT = 4

_EXAMPLE = "allowed: spiffe://<trust domain>/<path>, like spiffe://cluster.local/ns/agents/sa/triage"
_WILDCARDS = str.maketrans("*?", "xx")


def id_fault(value: str) -> str | None:
    """What is wrong with a workload's SPIFFE ID, or None."""
    try:
        parsed = SpiffeId.parse(value)
    except SpiffeIdInvalid as error:
        return f"{error}; {_EXAMPLE}"
    return None if parsed.path else f"this names a whole trust domain; {_EXAMPLE}"


def source_fault(value: str) -> str | None:
    """What is wrong with an entry of `from`: a SPIFFE ID, a pattern over IDs, `*` for any authenticated peer,
    or `unauthenticated`.
    """
    if value in (ANY_PEER, NOBODY):
        return None
    trust_domain, slash, path = value.removeprefix(SCHEME).partition("/")
    if not is_pattern(value) or not value.startswith(SCHEME):
        return id_fault(value)
    if is_pattern(trust_domain):
        return "the trust domain is written out, since it vouches for the rest; wildcards go into the path"
    if any("**" in part or part.count("*") > MAX_STARS_IN_SEGMENT for part in path.split("/")):
        return f"a path segment has at most {MAX_STARS_IN_SEGMENT} stars, and ** is no pattern"
    return id_fault(SCHEME + trust_domain + slash + path.translate(_WILDCARDS))


def is_pattern(value: str) -> bool:
    """True when an entry of `from` holds a wildcard."""
    return "*" in value or "?" in value


def pattern_regex(value: str) -> str:
    """The regular expression of a valid entry of `from`, to be used with fullmatch."""
    if value == ANY_PEER:
        return SCHEME + ".+"
    if value == NOBODY:
        return re.escape(NOBODY)
    head, _, last = value.rpartition("/")
    return _translate(head) + "/.+" if last == "*" else _translate(value)


def _translate(pattern: str) -> str:
    """Within a segment a piece is never given back once found: atomic groups keep matching linear."""
    head, *pieces = [_literal(piece) for piece in pattern.split("*")]
    if not pieces:
        return head
    middle = "".join(f"(?>[^/]*?{piece})" for piece in pieces[:-1])
    return f"{head}{middle}[^/]*{pieces[-1]}"


def _literal(piece: str) -> str:
    return "".join("[^/]" if c == "?" else re.escape(c) for c in piece)
