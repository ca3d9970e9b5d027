"""Who takes part in the demo, and under which names: the one place where they are written down.

The host names are those of Kubernetes Services and resolve nowhere on this machine. That is the point: the
agent hands each request to its sidecar, and only the sidecar has to know where a name leads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TRUST_DOMAIN: Final = "demo.outrider"


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload as Kubernetes would run it: its namespace and its service account, which is its identity."""

    namespace: str
    name: str

    @property
    def spiffe_id(self) -> str:
        """The identity that its sidecar proves."""
        return f"spiffe://{TRUST_DOMAIN}/ns/{self.namespace}/sa/{self.name}"


TRIAGE: Final = Workload("agents", "triage")
"""The agent."""

NOTES: Final = Workload("tools", "notes")
"""The MCP server that the agent works with."""

IMPOSTOR: Final = Workload("guests", "impostor")
"""Another agent, which nobody has granted anything. In its namespace it may write what policies it likes."""

FAKE_NOTES: Final = Workload("tools", "fake-notes")
"""Has taken over the address of the spare notes server, and cannot prove to be it."""

HELPDESK: Final = Workload("desk", "helpdesk")
"""An agent that works for users, who bring tokens of theirs."""

PORTAL: Final = Workload("web", "portal")
"""What the users of the helpdesk work with."""

WORKLOADS: Final = (TRIAGE, NOTES, IMPOSTOR, FAKE_NOTES, HELPDESK, PORTAL)

PORT: Final = 8080
NOTES_HOST: Final = "notes.tools.svc"
SPARE_HOST: Final = "notes-spare.tools.svc"
HELPDESK_HOST: Final = "helpdesk.desk.svc"
TICKETS_HOST: Final = "tickets.tools.svc"
UNKNOWN_HOST: Final = "wiki.tools.svc"
"""A host that no document declares."""


PUBLIC_HOST: Final = "notes.example.com"
"""A service of somebody else on the Internet: HTTPS, with a certificate of a public authority, and no sidecar."""

PUBLIC_URL: Final = f"https://{PUBLIC_HOST}/mcp"
PUBLIC_PORT: Final = 443

LOGIN_HOST: Final = "login.example.com"
CODE_HOST: Final = "code.example.com"
PASTE_HOST: Final = "paste.example.com"
"""Where users log in, a service that wants a secret of the helpdesk's, and one that must never see it."""


ISSUER: Final = f"https://{LOGIN_HOST}"
HELPDESK_AUDIENCE: Final = "https://helpdesk.example.com"
NOTES_AUDIENCE: Final = "https://notes.example.com"
"""For whom tokens are: those that users get, and those that the helpdesk gets for them."""


def url(host: str) -> str:
    """The MCP endpoint of a Service."""
    return f"http://{host}:{PORT}/mcp"


LEGACY: Final = "legacy"
MODERN: Final = "2026-07-28"
ERAS: Final = (LEGACY, MODERN)
"""Modes of the SDK's client: with the `initialize` handshake and sessions, and without."""
