"""The documents of kube-agentic-networking as values: XAccessPolicy (v1alpha1, v0alpha0) and XBackend.

One shape for both versions of a policy: the older one is read into the newer one's words. Every value here has
passed validation; what an expression says is looked at when policies are accepted, since that is a verdict of its
own (`InvalidCEL`), not a fault of the document's shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mesh.policy.decision import AuthProtocol

AGENTIC_GROUP = "agentic.networking.x-k8s.io"
GATEWAY_GROUP = "gateway.networking.k8s.io"
GATEWAY_X_GROUP = "gateway.networking.x-k8s.io"
OUTRIDER_GROUP = "outrider.dev"
CORE_GROUP = ""


@dataclass(frozen=True, slots=True, order=True)
class TargetRef:
    """What a policy is about: an object of a namespace. Its `namespace` is always the policy's own.

    Known: Gateway, XBackend (of both groups), Backend of ours, and Service, whose group is "".
    """

    group: str
    kind: str
    namespace: str | None
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace or ''}/{self.name}"


class Action(StrEnum):
    """What a policy does with what its rules match."""

    ALLOW = "Allow"
    EXTERNAL_AUTH = "ExternalAuth"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A source within the trust domain of whoever decides."""

    namespace: str
    name: str


Source = str | ServiceAccount
"""An exact SPIFFE ID, or a ServiceAccount."""


@dataclass(frozen=True, slots=True)
class MethodMatch:
    """A method, or a whole category (`tools`), and the names it is limited to; () is any."""

    name: str
    params: tuple[str, ...] = ()


class MatchType(StrEnum):
    """How a path or a header is compared."""

    EXACT = "Exact"
    PATH_PREFIX = "PathPrefix"
    REGULAR_EXPRESSION = "RegularExpression"


@dataclass(frozen=True, slots=True)
class PathMatch:
    """A path without query, prefixes on segment boundaries, expressions in RE2 syntax over the whole path."""

    type: MatchType
    value: str


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A header by its lower-case name, and its value or an expression over the whole of it."""

    name: str
    type: MatchType
    value: str


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a rule lets its source do. Empty lists do not restrict.

    `methods` None: any request, whether it is MCP or not; else what is named, and with `base` (which is
    MATCH_BASE_PROTOCOL_METHODS) the base protocol's. `cel` is set exactly when the type is CEL: then what is not
    the base protocol's is tools/call alone, where the expression holds; `message` is what to tell where not.
    """

    methods: tuple[MethodMatch, ...] | None = None
    base: bool = False
    cel: str | None = None
    message: str = ""
    http_methods: tuple[str, ...] = ()
    paths: tuple[PathMatch, ...] = ()
    headers: tuple[HeaderMatch, ...] = ()
    hosts: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One rule: matches what comes from `source` (None: anybody) and is as `authorization` says (None: anything).

    `delegated`: what it grants passes only if the policy's external authorization agrees (v0alpha0).
    """

    name: str
    source: Source | None = None
    authorization: Authorization | None = None
    delegated: bool = False


@dataclass(frozen=True, slots=True)
class AuthService:
    """Where an external authorization is asked: a Service of a namespace and its port, and what it is shown.

    As in `ExternalCheck`, which is made from it.
    """

    protocol: AuthProtocol
    namespace: str | None
    name: str
    port: int
    path: str = ""
    allowed_request_headers: tuple[str, ...] | None = None
    allowed_response_headers: tuple[str, ...] | None = None
    forward_body_bytes: int = 0


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """An XAccessPolicy of either version. No rules: it matches everything.

    `created` is metadata.creationTimestamp as Kubernetes writes it, "" where there is none: such are the oldest.
    """

    name: str
    namespace: str | None
    targets: tuple[TargetRef, ...]
    action: Action = Action.ALLOW
    external_auth: AuthService | None = None
    rules: tuple[AccessRule, ...] = ()
    created: str = ""

    @property
    def label(self) -> str:
        """How decisions cite it."""
        return (
            f"XAccessPolicy/{self.namespace}/{self.name}" if self.namespace else f"XAccessPolicy/{self.name}"
        )


class XBackendTls(StrEnum):
    """How an XBackend of Gateway API is connected to."""

    NONE = "None"
    SERVER_ONLY = "ServerOnly"
    CLIENT_AND_SERVER = "ClientAndServer"


@dataclass(frozen=True, slots=True)
class XBackend:
    """An XBackend of either group. It names a Service of its namespace, a host name, or pods by their labels.

    `protocol` is as written, "" where it is not. `ref` is how policies name it.
    """

    ref: TargetRef
    protocol: str
    port: int
    service: str | None = None
    hostname: str | None = None
    match_labels: tuple[tuple[str, str], ...] = ()
    path: str = "/"
    tls: XBackendTls = XBackendTls.NONE
    own_authorities: bool = False
    created: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a workload stands behind: the targets whose policies its callers meet."""

    targets: tuple[TargetRef, ...] = ()
