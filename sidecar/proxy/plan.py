"""What the pipeline decided about one request: the values that its stages hand on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mesh.policy.credentials import Credential, Exchange, Hidden, IdJag
from mesh.policy.decision import Decision, ExternalCheck, Inbound, RequestContext
from mesh.policy.documents import Backend
from mesh.policy.principal import Principal
from mesh.protocol.http1.heads import Headers, RequestHead
from mesh.protocol.jsonrpc import Message
from mesh.reasons import Reason
from sidecar.credentials.issued import Issued
from sidecar.credentials.verified import TokenRefused, Verified
from sidecar.proxy.pool import Destination

if TYPE_CHECKING:
    from mesh.policy.compile import Policy
    from sidecar.credentials.correlation import Ticket
    from sidecar.hidden.watch import PlaceholderWatch
    from sidecar.proxy.in_force import InForce
    from sidecar.proxy.late import LateAnswer
    from sidecar.proxy.put_back import PutBack
    from sidecar.proxy.redact import Redactor
    from sidecar.rates.account import Counted
    from sidecar.rates.slots import Taken

_METADATA = re.compile(
    r"/\.well-known/(?:oauth-protected-resource|oauth-authorization-server|openid-configuration)(?:/.*)?"
)


def is_oauth_metadata(path: str) -> bool:
    """Whether clients of MCP look here for an authorization server (RFC 9728, RFC 8414, OpenID Discovery)."""
    return _METADATA.fullmatch(path) is not None


Id = str | int
"""A JSON-RPC id."""


class Treatment(Enum):
    """How much of a message is looked at."""

    MCP = "mcp"
    """Every body is JSON-RPC, parsed strictly, decided and filtered."""
    SNIFF = "sniff"
    """Plain HTTP may pass; whatever looks like JSON-RPC is treated as MCP."""
    HTTP = "http"
    """Passed on as it streams."""
    WHOLE = "whole"
    """Plain HTTP kept whole, because hidden secrets are put into it."""


@dataclass(frozen=True, slots=True)
class Routed:
    """Where requests with one target go: all that does not depend on the single request."""

    direction: str
    """`outbound` or `inbound`."""
    path: bytes
    """Origin-form target for the backend."""
    plain_path: str
    """The path alone, for decisions and logs."""
    authority: bytes
    """Value of the Host header for the backend."""
    destination: Destination
    target: Backend | Inbound | None
    """What `decide` is asked about; None for a destination that is no Backend."""
    backend: str
    """Name for logs and metrics."""
    treatment: Treatment
    refusal: tuple[Reason, str] | None = None
    """Set where the policy lets nothing pass to this target."""
    neighbour: Backend | Inbound | None = None
    """What JSON-RPC on this path is decided as: the MCP endpoint beside it."""
    transport: bool = False
    """Part of MCP's own transport: allowed wherever the base protocol is."""
    credential: Credential | None = None
    """What the Backend gets from us in place of anything that the agent gives."""
    minted: bool = field(init=False)
    """Whether that is something which the agent does not hold in any form."""
    for_users: bool = field(init=False)
    """Whether it is another one for each user."""

    def __post_init__(self) -> None:
        credential = self.credential
        minted = credential is not None and not isinstance(credential, Hidden)
        object.__setattr__(self, "minted", minted)
        object.__setattr__(self, "for_users", isinstance(credential, Exchange | IdJag))

    @property
    def is_metadata(self) -> bool:
        """OAuth metadata (RFC 9728, RFC 8414): it lies beside the MCP endpoint, and a client needs it."""
        return is_oauth_metadata(self.plain_path)


@dataclass(frozen=True, slots=True)
class Held:
    """A request that waits until every external check has said yes: as it would leave, and what it says.

    `body` is None where it streams and no check wants it.
    """

    headers: Headers
    body: bytes | None
    messages: tuple[Message, ...] = ()
    is_batch: bool = False
    screened: bool = True
    """False: detectors that are asked over HTTP have not seen it yet."""
    counted: Counted | None = None
    """Not None: the store of shared limits has to be asked before anything else."""


class Owing(NamedTuple):
    """A request that was decided, as it would leave, but for a credential that has to be obtained first.

    `body` is None where it streams.
    """

    headers: Headers
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Unverified:
    """A request of `caller` whose user's token has to be verified before anything else."""

    token: bytes = field(repr=False)
    caller: str = ""


class Secrets(Protocol):
    """What is looked for in the answer to a request."""

    @property
    def issued(self) -> int:
        """Another number where there may be more to look for."""
        ...

    def redactor(self, plan: Plan) -> Redactor:
        """What finds it, now."""
        ...


@dataclass(slots=True)
class Plan:
    """One request: where it goes, on whose behalf, and how it is treated."""

    head: RequestHead
    principal: Principal
    routed: Routed
    treatment: Treatment
    target: Backend | Inbound | None
    pending: tuple[Id, ...] = ()
    """Ids of the requests in the body that wait for an answer."""
    modern: bool = False
    """True for the 2026-07-28 revision."""
    tool: str | None = None
    """The tool that the body calls, if it calls one."""
    endpoint: bytes | None = None
    """Path and query that the HTTP+SSE stream which answers this request announced for what it is sent."""
    refusal: tuple[Reason, str] | None = None
    """Refused whatever the body says; kept so that the answer can carry the request's id."""
    context: RequestContext | None = None
    """What rules about HTTP are asked with; None where no policy in force has any."""
    checks: tuple[ExternalCheck, ...] = ()
    """Each has to say yes before anything is forwarded."""
    provisional: tuple[tuple[str, str | None, Decision], ...] = ()
    """Method, name and decision of what is recorded only when its checks have answered."""
    decided: tuple[tuple[str, str | None], ...] = ()
    """Method and name of what was recorded, for whatever becomes of it later."""
    subject: Verified | None = None
    """The user's token that the request belongs to: what was brought inbound, or found to belong outbound."""
    doubt: TokenRefused | None = None
    """Why no user was found outbound where there could be one."""
    issued: Issued | None = None
    """The Backend's credential, for this request."""
    secrets: Secrets | None = None
    """What is taken out of the answer."""
    looked: tuple[int, Redactor] | None = None
    """What was looked for last, and `Secrets.issued` then."""
    sent: Owing | None = None
    """What was sent with it and can be sent again with another."""
    more_scopes: frozenset[str] = frozenset()
    """Asked for besides those that the Backend names, because its server said that they are missing."""
    session: bytes | None = None
    """The MCP session as the server knows it, where each user has its own; the agent's may be another."""
    watch: PlaceholderWatch | None = None
    """Looks through the body as it streams, in pods that hide secrets."""
    late: LateAnswer | None = None
    """The answer, where others are asked about it before it goes on."""
    asked: tuple[Message, ...] = ()
    """The messages of the body, as they leave."""
    put_back: dict[int, PutBack] | None = None
    """What is put back in the messages of the body when they leave, by their index."""
    guarded: tuple[tuple[Policy, Principal, Backend | Inbound | None], InForce | None] | None = None
    """What looks at its messages, by what that was found out for."""
    looked_until: float | None = None
    """Until when the messages that came with the one that is looked at may be looked at."""
    holds: bool = False
    """Whether the answer is a stream whose events get the agent's own values only when they go on."""
    joins: bool = False
    """Whether the text of the notification that is looked at is masked later, with the one before it."""
    slots: Taken | None = None
    """What it takes of limits of how many are under way."""
    most_bytes: int = 0
    """How large an answer may be; 0: no limit but the sidecar's own."""
    watched_bytes: int = 0
    """From which size on an answer is written down; 0: none is."""
    ticket: Ticket | None = None
    """Inbound: that a user's request is under way, or one of nobody's where users are known."""

    @property
    def who(self) -> str:
        """For whom something is kept: the workload, and the user where there is one."""
        user = self.principal.user
        return self.principal.id if user is None else f"{self.principal.id} for {user}"

    def claimed(self, claim: Verified | TokenRefused) -> None:
        """Note whose request it is, or why that cannot be told."""
        if isinstance(claim, TokenRefused):
            self.doubt = claim
        else:
            self.subject = claim
            self.principal = Principal(self.principal.id, claim.user)

    def checked(self, method: str, name: str | None, decision: Decision) -> None:
        """A decision that holds only once its checks have said yes; each is asked once for a request."""
        self.wait_for(decision)
        self.provisional = (*self.provisional, (method, name, decision))

    def wait_for(self, decision: Decision) -> None:
        """Its checks have to say yes, whatever is recorded."""
        self.checks = tuple(dict.fromkeys((*self.checks, *decision.checks)))

    def asked_for(self, answer: Message) -> Message | None:
        """What a message of the server's answers, if it is of this request. Ids are compared as some clients do: 1
        and "1" are one."""
        asked = self.asked
        if len(asked) == 1:
            return asked[0] if answer.method is None else None
        return next((one for one in asked if one.id is not None and str(one.id) == str(answer.id)), None)

    @property
    def shown_bytes(self) -> int:
        """How long a body may be that every check can see whole; 0 where none wants to see it."""
        return min((check.forward_body_bytes for check in self.checks if check.forward_body_bytes), default=0)

    @property
    def server(self) -> str:
        """The one MCP server behind the target: the Backend, or what is at a path of the application."""
        routed, target = self.routed, self.target
        if isinstance(target, Inbound):
            return f"{routed.backend}:{routed.destination.port}{target.path}"
        return routed.backend


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that the sidecar gives itself."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A CONNECT that was granted."""

    host: str
    port: int
    destination: Destination
    backend: str
    inspected: bool
    """True: HTTP inside is read as if it had come without the tunnel. False: bytes pass untouched."""
    only_tls: bool = False
    """The Backend is declared to be reached by TLS, which inside an opaque tunnel is the application's own."""
