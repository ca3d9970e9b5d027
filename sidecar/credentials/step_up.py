"""Which more scopes a server asks for, and whether the Backend's credential may be issued with them.

A server names them in a 403 (RFC 6750, section 3.1; MCP, Authorization, Scope Challenge Handling). Nothing else of
its challenge is followed: `resource_metadata` is a URL of the server's choosing, and who issues credentials for it
is for the policy to say.
"""

from __future__ import annotations

from mesh.policy.credentials import ClientCredentials, Credential, Exchange, JwtBearer
from mesh.protocol.http1.heads import ResponseHead, all_values
from mesh.protocol.oauth.challenge import parse_challenges

FORBIDDEN = 403


def challenged(head: ResponseHead) -> frozenset[str]:
    """The scopes of an `insufficient_scope` challenge; empty where there is none."""
    if head.status != FORBIDDEN:
        return frozenset()
    scopes: set[str] = set()
    for challenge in parse_challenges(all_values(head.headers, b"www-authenticate")):
        if challenge.scheme.lower() == "bearer" and challenge.params.get("error") == "insufficient_scope":
            scopes.update(challenge.params.get("scope", "").split())
    return frozenset(scopes)


def more_scopes(
    credential: Credential | None, asked: frozenset[str], head: ResponseHead
) -> frozenset[str] | None:
    """What to ask for beyond the credential's own scopes: `asked`, which was so far, and what the challenge adds.

    None where it adds nothing, or a scope that is not among the credential's `stepUp`.
    """
    if not isinstance(credential, Exchange | ClientCredentials | JwtBearer):
        return None
    new = challenged(head).difference(credential.scopes, asked)
    if not new or not new <= frozenset(credential.step_up):
        return None
    return asked | new
