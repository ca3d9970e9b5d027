"""URLs in documents: absolute, http or https, and nothing in them that two readers could take for another host."""

from __future__ import annotations

import re

from mesh.policy.errors import shown
from mesh.policy.hosts import host_fault

MAX_URL = 2048

_URL = re.compile(
    r"https?://(\[[0-9A-Fa-f:.]+\]|[^/:\[\]]+)(?::([0-9]{1,5}))?(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
)


def url_fault(value: str) -> str | None:
    """What is wrong with a URL, or None."""
    if len(value) > MAX_URL:
        return f"{len(value)} characters; a URL has at most {MAX_URL}"
    scheme, separator, rest = value.partition("://")
    if "@" in rest.partition("/")[0] or (not separator and "@" in value):
        return "a URL has no user or password here; remove them"
    if not separator or scheme not in ("https", "http"):
        return f"{shown(value)} is no absolute URL; write it like https://idp.example.com/realms/acme"
    for mark, called in (("#", "fragment"), ("?", "query")):
        if mark in rest:
            return f"a URL has no {called} here; remove it"
    match = _URL.fullmatch(value)
    if match is None:
        return f"{shown(value)} cannot be read as a URL: https://host[:port][/path] of ASCII characters"
    host, port = match[1], match[2]
    if port is not None and not 1 <= int(port) <= 65535:
        return f"{port} is no port; allowed: 1 to 65535"
    fault = host_fault(host.strip("[]"))
    if fault is None and "*" in host:
        return "a URL has one exact host, no wildcard"
    return None if fault is None else f"its host: {fault}"
