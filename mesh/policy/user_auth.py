"""How the tokens of users are verified that callers bring: the section `users` of an AgentPolicy, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mesh.policy.credentials import ClientAuth

DEFAULT_ALGORITHMS = ("RS256", "ES256", "PS256", "RS384", "ES384", "PS384", "RS512", "ES512", "PS512")
DEFAULT_SKEW_SECONDS = 30.0


class Given(StrEnum):
    """What the application gets in place of a user's token."""

    HANDLE = "handle"
    """An opaque, short-lived word that only this sidecar understands."""
    TOKEN = "token"  # noqa: S105 - a choice, not a token
    """The token itself, for applications that read it."""
    NOTHING = "nothing"


class Correlation(StrEnum):
    """By what an outbound request is known to belong to a user's inbound one, besides the handle."""

    TRACE = "trace"
    """The trace id of `traceparent` (W3C Trace Context)."""
    SESSION = "session"
    """The MCP session, inbound or outbound."""
    CONTEXT = "context"
    """A2A's contextId or task id in both."""
    SOLE = "sole"
    """No other user has a request under way. Not on by default: work that goes on after its request is done would
    be taken for the next user's."""


DEFAULT_CORRELATION = frozenset({Correlation.TRACE, Correlation.SESSION, Correlation.CONTEXT})


@dataclass(frozen=True, slots=True)
class Introspection:
    """The issuer is asked about each token (RFC 7662). `endpoint` None: as its metadata say."""

    client: ClientAuth
    endpoint: str | None = None
    seconds: float = 60.0
    """For how long an answer counts, at most."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whose tokens are accepted.

    `audiences`: one of them has to be in `aud`. `jwks_uri` None: as the issuer's metadata say (RFC 8414, OpenID
    Connect Discovery).
    """

    issuer: str
    audiences: tuple[str, ...]
    jwks_uri: str | None = None
    algorithms: tuple[str, ...] = DEFAULT_ALGORITHMS
    skew_seconds: float = DEFAULT_SKEW_SECONDS
    introspection: Introspection | None = None


@dataclass(frozen=True, slots=True)
class UserAuth:
    """What every selecting policy together says about users.

    `required`: a request without a valid token is refused (401); else only one with an invalid token is.
    `scopes`: what each token must hold (403, insufficient_scope). `bypass`: paths that nobody needs a token for,
    each exact or ending in `/*`. `resource`: how this workload is called in RFC 9728 metadata (a URL), None for
    what callers call it. `enforced` is False where every policy that speaks of users observes: what the others say
    is recorded then, and nothing is refused or changed.
    """

    issuers: tuple[Issuer, ...]
    required: bool = True
    scopes: frozenset[str] = frozenset()
    bypass: tuple[str, ...] = ()
    resource: str | None = None
    given: Given = Given.HANDLE
    correlation: frozenset[Correlation] = DEFAULT_CORRELATION
    enforced: bool = True
