"""What a caller without a token that counts is answered, and where it learns who issues one.

A client of MCP or A2A can act on these: it reads the challenge, finds the issuer, and comes back. So they are HTTP
status codes for JSON-RPC requests too.
"""

from __future__ import annotations

from mesh.policy.user_auth import UserAuth
from mesh.protocol.http1.heads import RequestHead
from mesh.protocol.oauth.challenge import bearer_challenge
from mesh.protocol.oauth.protected_resource import metadata_url, resource_document, resource_path
from mesh.reasons import Reason
from sidecar.credentials.verified import TokenRefused
from sidecar.proxy.plan import Reply
from sidecar.proxy.replies import problem

RETRY_SECONDS = 5
"""After which an issuer that is silent may be there again."""

_INVALID_REQUEST = frozenset({Reason.TOKEN_REPEATED})
_LATER = frozenset({Reason.ISSUER_UNAVAILABLE, Reason.TOO_MANY_UNKNOWN_TOKENS})
_NO_TOKEN = frozenset({Reason.TOKEN_MISSING})


def unauthorized(
    refused: TokenRefused | None, auth: UserAuth, head: RequestHead, path: str, *, scheme: str
) -> Reply:
    """The answer to a request without a token (None), or with one that was refused.

    `path`: the request's, plain and without query; `scheme`: `https` where the caller reached us by TLS.
    401, or 403 where a scope is missing, 400 for several tokens, 503 where the issuer cannot be had, or
    the caller has brought too much that nobody knows.
    """
    reason = Reason.TOKEN_MISSING if refused is None else refused.reason
    detail = "" if refused is None else refused.detail
    if reason in _LATER:
        return _with(problem(503, reason, detail), (b"retry-after", b"%d" % RETRY_SECONDS))
    status, error = _status(reason)
    challenge = bearer_challenge(
        (
            ("error", error),
            ("error_description", f"{reason}: {detail}" if error else ""),
            ("resource_metadata", _metadata_url(auth, head, path, scheme)),
            ("scope", " ".join(sorted(auth.scopes))),
        )
    )
    return _with(problem(status, reason, detail), (b"www-authenticate", challenge))


def insufficient_scope(
    scopes: frozenset[str], auth: UserAuth, head: RequestHead, path: str, *, scheme: str
) -> Reply:
    """The answer to a token without a scope that a rule needs: 403 that names all scopes to ask for."""
    challenge = bearer_challenge(
        (
            ("error", "insufficient_scope"),
            ("error_description", Reason.SCOPE_MISSING),
            ("resource_metadata", _metadata_url(auth, head, path, scheme)),
            ("scope", " ".join(sorted(scopes | auth.scopes))),
        )
    )
    detail = f"needed: {' '.join(sorted(scopes))}"
    return _with(problem(403, Reason.SCOPE_MISSING, detail), (b"www-authenticate", challenge))


def metadata_reply(auth: UserAuth, head: RequestHead, path: str, *, scheme: str) -> Reply:
    """The document of RFC 9728 for a request to `path`, which `is_metadata_path` holds for."""
    resource = resource_of(auth, head, resource_path(path), scheme)
    if resource is None:
        return problem(400, Reason.HTTP_BAD_HOST, "the request has no Host")
    issuers = (issuer.issuer for issuer in auth.issuers)
    body = resource_document(resource, issuers, auth.scopes)
    # A browser's client reads it from another origin; there is nothing in it that is not for everybody.
    return Reply(
        200, body, headers=((b"access-control-allow-origin", b"*"), (b"cache-control", b"max-age=60"))
    )


def resource_of(auth: UserAuth, head: RequestHead, path: str, scheme: str) -> str | None:
    """How this workload is called: as configured, else as this caller calls it; None where it names no host."""
    if auth.resource is not None:
        return auth.resource
    host = head.fields.get(b"host", b"").decode("latin-1")
    return f"{scheme}://{host}{path.rstrip('/')}" if host else None


def _metadata_url(auth: UserAuth, head: RequestHead, path: str, scheme: str) -> str:
    resource = resource_of(auth, head, path, scheme)
    return "" if resource is None else metadata_url(resource)


def _status(reason: Reason) -> tuple[int, str]:
    """HTTP status and error code (RFC 6750, section 3.1); no code for who brought no token at all."""
    if reason is Reason.SCOPE_MISSING:
        return 403, "insufficient_scope"
    if reason in _INVALID_REQUEST:
        return 400, "invalid_request"
    return 401, "" if reason in _NO_TOKEN else "invalid_token"


def _with(reply: Reply, field: tuple[bytes, bytes]) -> Reply:
    return Reply(reply.status, reply.body, reply.content_type, (*reply.headers, field))
