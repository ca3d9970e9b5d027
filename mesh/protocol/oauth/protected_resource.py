"""Where a workload says who issues the tokens that it takes (RFC 9728), so that clients can get one.

Clients compare `resource` with the URL that they use, and believe nothing of a document that says another.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from mesh.protocol.strict_json import encode

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def is_metadata_path(path: str) -> bool:
    """Whether a plain path, without query, is where such a document is asked for."""
    return path == WELL_KNOWN or path.startswith(WELL_KNOWN + "/")


def resource_path(path: str) -> str:
    """Of which path's resource a document is asked for; empty for the host as a whole (section 3.1)."""
    return path[len(WELL_KNOWN) :].rstrip("/")


def metadata_url(resource: str) -> str:
    """Where the document of `resource`, an absolute URL, is: the well-known part goes before its path."""
    url = urlsplit(resource)
    query = f"?{url.query}" if url.query else ""
    return f"{url.scheme}://{url.netloc}{WELL_KNOWN}{url.path.rstrip('/')}{query}"


def resource_document(resource: str, issuers: Iterable[str], scopes: Iterable[str]) -> bytes:
    """The document. Scopes stand in it in a fixed order, and not at all where there are none."""
    document: dict[str, object] = {
        "resource": resource,
        "authorization_servers": list(dict.fromkeys(issuers)),
        "bearer_methods_supported": ["header"],
    }
    if named := sorted(set(scopes)):
        document["scopes_supported"] = named
    return encode(document)
