"""Which MCP methods a decision is about, and what of.

Three kinds: methods that name a subject (a tool, prompt or resource), methods of the base protocol that any
grant carries, and all others, which could carry anything. 2024-11-05 to 2026-07-28, the tasks and the skills
extension. Not derived from the table of the protocol, so that a method added there grants nothing here before
somebody has thought about it; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum

from mesh.policy.documents import ServerRequest


class Section(StrEnum):
    """The part of a rule that speaks of a subject."""

    TOOLS = "tools"
    PROMPTS = "prompts"
    RESOURCES = "resources"


# Methods whose subject is in a section. A URI template is granted like the resources it would make.
SUBJECT_METHODS: dict[str, Section] = {
    "tools/call": Section.TOOLS,
    "prompts/get": Section.PROMPTS,
    "resources/read": Section.RESOURCES,
    "resources/subscribe": Section.RESOURCES,
    "resources/unsubscribe": Section.RESOURCES,
    "resources/templates/list": Section.RESOURCES,
    "skills/get": Section.RESOURCES,
}

# What `total` calls the kinds of subjects.
KIND_SECTIONS: dict[str, Section] = {
    "tool": Section.TOOLS,
    "prompt": Section.PROMPTS,
    "resource": Section.RESOURCES,
    "template": Section.RESOURCES,
}

# The methods that are asked about a subject of each kind.
KIND_METHODS: dict[str, tuple[str, ...]] = {
    "tool": ("tools/call",),
    "prompt": ("prompts/get",),
    "resource": ("resources/read",),
    "template": ("resources/templates/list",),
}

# Without a subject of their own. Lists are filtered item by item; the subjects of completion/complete and
# subscriptions/listen are asked about one by one, under the methods above.
BASE_METHODS = frozenset(
    {
        "initialize",
        "ping",
        "server/discover",
        "logging/setLevel",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "skills/list",
        "completion/complete",
        "subscriptions/listen",
        "tasks/get",
        "tasks/list",
        "tasks/result",
        "tasks/update",
        "tasks/cancel",
    }
)
NOTIFICATIONS = "notifications/"

# What servers may always ask of clients: whether they are there, and about tasks of theirs (2025-11-25).
SERVER_BASE_METHODS = frozenset({"ping", "tasks/get", "tasks/list", "tasks/result", "tasks/cancel"})

# What servers ask of clients, by method and by the word that policies use.
SERVER_REQUESTS: dict[str, ServerRequest] = {
    "sampling/createMessage": ServerRequest.SAMPLING,
    "elicitation/create": ServerRequest.ELICITATION,
    "roots/list": ServerRequest.ROOTS,
    **{str(kind): kind for kind in ServerRequest},
}


def is_base(method: str) -> bool:
    """True for a method that every granted backend may use."""
    return method in BASE_METHODS or method.startswith(NOTIFICATIONS)
