"""SPIFFE IDs in policies: the grammar, and patterns over them.

A pattern names one trust domain exactly, since that is who vouches for the rest. `*` and `?` stay inside a
path segment, so that `spiffe://td/ns/*/sa/x` cannot be met by an ID with more segments; a last segment that
is just `*` means everything below.
"""

from __future__ import annotations

import re

MAX_ID_BYTES = 2048
ANY_PEER = "*"

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_PATTERN_SEGMENT = re.compile(r"[A-Za-z0-9._*?-]+")


def id_fault(value: str) -> str | None:
    """What is wrong with a workload's SPIFFE ID (SPIFFE-ID, section 2), or None."""
    return _fault(value, _SEGMENT)


def source_fault(value: str) -> str | None:
    """What is wrong with an entry of `from`: a SPIFFE ID, a pattern over IDs, or `*` for any authenticated
    peer.
    """
    return None if value == ANY_PEER else _fault(value, _PATTERN_SEGMENT)


def is_pattern(value: str) -> bool:
    """True when an entry of `from` holds a wildcard."""
    return "*" in value or "?" in value


def pattern_regex(value: str) -> str:
    """The regular expression of a valid entry of `from`, to be used with fullmatch."""
    if value == ANY_PEER:
        return r"spiffe://.+"
    head, _, last = value.rpartition("/")
    if last == "*":
        return _translate(head) + "/.+"
    return _translate(value)


def _translate(pattern: str) -> str:
    pieces = {"*": "[^/]*", "?": "[^/]"}
    return "".join(pieces.get(c) or re.escape(c) for c in pattern)


def _fault(value: str, segment: re.Pattern[str]) -> str | None:
    allowed = "allowed: spiffe://<trust domain>/<path>, like spiffe://cluster.local/ns/agents/sa/triage"
    if not value.startswith("spiffe://"):
        return f"a SPIFFE ID begins with spiffe://; {allowed}"
    if len(value.encode("utf-8", "replace")) > MAX_ID_BYTES:
        return f"a SPIFFE ID has at most {MAX_ID_BYTES} bytes"
    trust_domain, slash, path = value.removeprefix("spiffe://").partition("/")
    if not _TRUST_DOMAIN.fullmatch(trust_domain):
        return f"the trust domain has 1 to 255 of a-z 0-9 . _ - and no wildcard or port; {allowed}"
    if not slash:
        return f"the ID of a workload has a path; {allowed}"
    for part in path.split("/"):
        if not segment.fullmatch(part) or part in (".", ".."):
            return f"a path segment is not empty, not . or .., and has only A-Z a-z 0-9 . _ -; {allowed}"
        if "**" in part or part.count("*") > 4:
            return "a path segment has at most 4 single *"
    return None
