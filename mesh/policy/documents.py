"""The policy documents as values: what a user wrote, checked and normalised, before anything is compiled.

Every value here has passed validation: hosts are lower case, paths start with a slash, entries are well
formed. The classes say nothing about files or YAML, so that a control plane can build the same values from
API objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh.policy.access.documents import AccessPolicy, TargetRef, XBackend
    from mesh.policy.credentials import Credential
    from mesh.policy.guardrails import Guardrails, Pin, RateLimits
    from mesh.policy.user_auth import UserAuth

API_VERSION = "outrider.dev/v1alpha1"
EVERY_BACKEND = "*"
MCP_PATH = "/mcp"
"""Where a workload's MCP server is unless an inbound rule says otherwise: where SDKs serve it."""


class BackendProtocol(StrEnum):
    """What a Backend speaks, which decides how far its traffic is inspected."""

    MCP = "MCP"
    HTTP = "HTTP"
    TCP = "TCP"


class TlsMode(StrEnum):
    """How the sidecar connects to a Backend."""

    MESH = "Mesh"
    PUBLIC = "Public"
    NONE = "None"


class Mode(StrEnum):
    """Whether a policy blocks, or only records what it would block."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class Egress(StrEnum):
    """What happens to destinations that are no Backend."""

    DENY = "deny"
    ALLOW = "allow"


class ServerRequest(StrEnum):
    """What an MCP server may ask of the agent that called it."""

    SAMPLING = "sampling"
    ELICITATION = "elicitation"
    ROOTS = "roots"


@dataclass(frozen=True, slots=True)
class BackendTls:
    """TLS to a Backend: `identity` is the SPIFFE ID its certificate must prove, set exactly when the mode is
    Mesh.
    """

    mode: TlsMode
    identity: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Backend:
    """A destination that agents may be granted.

    `host` is a lower-case DNS name without trailing dot, an IP address (IPv6 without brackets), or
    `*.suffix`. `path` is the prefix, on segment boundaries, of the requests that belong to it.

    Compared and hashed by identity: a Backend is part of the key of every cached decision, and hashing eight
    fields in Python for each request would cost more than the rest of the lookup.
    """

    name: str
    namespace: str | None
    protocol: BackendProtocol
    host: str
    port: int
    path: str
    tls: BackendTls
    credential: Credential | None = None
    """What the sidecar puts into each request in the agent's place; None: the agent sees to that itself."""
    pin: Pin | None = None
    """How what the server offers is held to what it offered before; None: not at all."""
    origin: str = ""
    """What the control plane made it from, like `XBackend.gateway.networking.x-k8s.io/tools/github`."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one kind that a rule grants and denies: exact, or globs with `*` and `?`. Deny wins."""

    allow: tuple[str, ...]
    deny: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArgumentRule:
    """What the arguments of the tools that match the glob `tool` have to be: `require` is a CEL expression over
    `args`, and `message` what a refused caller is told.
    """

    tool: str
    require: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class McpGrant:
    """What a rule grants of MCP. An absent kind grants nothing of that kind."""

    tools: Names | None = None
    prompts: Names | None = None
    resources: Names | None = None
    unknown_methods: bool = False
    arguments: tuple[ArgumentRule, ...] = ()


@dataclass(frozen=True, slots=True)
class OutboundRule:
    """What the agent may use of one Backend, or of every Backend of its namespace when `backend` is `*`.

    `backend` is a name, or `namespace/name` for a Backend of another namespace.

    `server_requests` is None when the rule does not limit what the server may ask. The rule grants to `users`
    alone (globs over `ISSUER#SUBJECT`; empty: to all) whose tokens hold every one of `scopes`. `guardrails` and
    `rate` are None where the rule says nothing of content or of how often.
    """

    backend: str
    mcp: McpGrant = field(default_factory=McpGrant)
    server_requests: frozenset[ServerRequest] | None = None
    users: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    guardrails: Guardrails | None = None
    rate: RateLimits | None = None


@dataclass(frozen=True, slots=True)
class InboundRule:
    """Who may call this workload and what: `sources` are SPIFFE IDs, SPIFFE ID globs, or `*`.

    `mcp` is granted at `mcp_path`, a prefix on segment boundaries; `http` on every path. The rest is as in
    OutboundRule.
    """

    sources: tuple[str, ...]
    mcp: McpGrant | None = None
    http: bool = False
    mcp_path: str = MCP_PATH
    users: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    guardrails: Guardrails | None = None
    rate: RateLimits | None = None


@dataclass(frozen=True, slots=True)
class AgentPolicy:
    """What the agents that it selects may do.

    `match_labels` empty selects every agent of the namespace. `inbound` is None when the policy says nothing
    about callers, which differs from an empty tuple: nobody may call.
    """

    name: str
    namespace: str | None
    match_labels: tuple[tuple[str, str], ...] = ()
    mode: Mode = Mode.ENFORCE
    egress: Egress = Egress.DENY
    outbound: tuple[OutboundRule, ...] = ()
    inbound: tuple[InboundRule, ...] | None = None
    users: UserAuth | None = None


@dataclass(frozen=True, slots=True)
class Documents:
    """Everything that was loaded, in the order of the files.

    `standing` are the targets of access policies that this workload stands behind, as a server.
    """

    backends: tuple[Backend, ...] = ()
    policies: tuple[AgentPolicy, ...] = ()
    access_policies: tuple[AccessPolicy, ...] = ()
    xbackends: tuple[XBackend, ...] = ()
    standing: tuple[TargetRef, ...] = ()
