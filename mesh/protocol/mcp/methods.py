"""Every method of MCP that is known here, in one table: who sends it, when, and what of it a policy must look at.

Revisions 2024-11-05 to 2026-07-28, the tasks extension (io.modelcontextprotocol/tasks, SEP-2663) and the
skills extension (io.modelcontextprotocol/skills, SEP-2640). Other modules read the table and hold no method
names of their own. A method that is not in it may carry anything anywhere, so policies treat it as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Final

from mesh.protocol.mcp.versions import Era


class SubjectKind(StrEnum):
    """What a policy can grant by name."""

    TOOL = "tool"
    PROMPT = "prompt"
    RESOURCE = "resource"
    TEMPLATE = "template"


class Sender(Enum):
    """Who may send a method."""

    CLIENT = "client"
    SERVER = "server"
    BOTH = "both"


class Form(Enum):
    """How a subject is named in params: by a string, by an object with a type, or by a list of strings."""

    STRING = "string"
    REFERENCE = "reference"
    STRINGS = "strings"


@dataclass(frozen=True, slots=True)
class Naming:
    """Where params names a subject. `path` leads to it; `ask` is the method that policies decide it under."""

    kind: SubjectKind
    path: tuple[str, ...]
    ask: str
    form: Form = Form.STRING


@dataclass(frozen=True, slots=True)
class Method:
    """One row. `mirrored` is the member of params that the Mcp-Name header repeats (2026-07-28);
    `tasks` leads to the task ids in params; `extension` is None for the core protocol."""

    name: str
    sender: Sender
    eras: frozenset[Era]
    naming: Naming | None = None
    mirrored: str | None = None
    tasks: tuple[str, ...] | None = None
    extension: str | None = None


LEGACY: Final = frozenset({Era.LEGACY})
MODERN: Final = frozenset({Era.MODERN})
ALWAYS: Final = LEGACY | MODERN

TASKS: Final = "io.modelcontextprotocol/tasks"
SKILLS: Final = "io.modelcontextprotocol/skills"

TOOLS_CALL: Final = "tools/call"
TOOLS_LIST: Final = "tools/list"
PROMPTS_GET: Final = "prompts/get"
RESOURCES_READ: Final = "resources/read"
RESOURCES_SUBSCRIBE: Final = "resources/subscribe"
SKILLS_GET: Final = "skills/get"
TEMPLATES_LIST: Final = "resources/templates/list"

_TOOL = Naming(SubjectKind.TOOL, ("name",), TOOLS_CALL)
_PROMPT = Naming(SubjectKind.PROMPT, ("name",), PROMPTS_GET)
_RESOURCE = Naming(SubjectKind.RESOURCE, ("uri",), RESOURCES_READ)
_REFERENCE = Naming(SubjectKind.PROMPT, ("ref",), PROMPTS_GET, Form.REFERENCE)
_SUBSCRIBE = Naming(SubjectKind.RESOURCE, ("uri",), RESOURCES_SUBSCRIBE)
_UNSUBSCRIBE = Naming(SubjectKind.RESOURCE, ("uri",), "resources/unsubscribe")
_SKILL = Naming(SubjectKind.RESOURCE, ("uri",), SKILLS_GET)
_SUBSCRIBED = Naming(
    SubjectKind.RESOURCE, ("notifications", "resourceSubscriptions"), RESOURCES_SUBSCRIBE, Form.STRINGS
)
_TASK_ID = ("taskId",)

_CLIENT, _SERVER, _BOTH = Sender.CLIENT, Sender.SERVER, Sender.BOTH

_ROWS: Final = (
    # Opening and keeping a session.
    Method("initialize", _CLIENT, LEGACY),
    Method("notifications/initialized", _CLIENT, LEGACY),
    Method("ping", _BOTH, LEGACY),
    Method("server/discover", _CLIENT, MODERN),
    Method("logging/setLevel", _CLIENT, LEGACY),
    Method("notifications/message", _SERVER, ALWAYS),
    Method("notifications/progress", _BOTH, ALWAYS),
    Method("notifications/cancelled", _BOTH, ALWAYS),
    # Tools, prompts and resources.
    Method(TOOLS_LIST, _CLIENT, ALWAYS),
    Method(TOOLS_CALL, _CLIENT, ALWAYS, _TOOL, mirrored="name"),
    Method("notifications/tools/list_changed", _SERVER, ALWAYS),
    Method("prompts/list", _CLIENT, ALWAYS),
    Method(PROMPTS_GET, _CLIENT, ALWAYS, _PROMPT, mirrored="name"),
    Method("notifications/prompts/list_changed", _SERVER, ALWAYS),
    Method("resources/list", _CLIENT, ALWAYS),
    Method(TEMPLATES_LIST, _CLIENT, ALWAYS),
    Method(RESOURCES_READ, _CLIENT, ALWAYS, _RESOURCE, mirrored="uri"),
    Method(RESOURCES_SUBSCRIBE, _CLIENT, LEGACY, _SUBSCRIBE),
    Method("resources/unsubscribe", _CLIENT, LEGACY, _UNSUBSCRIBE),
    Method("notifications/resources/list_changed", _SERVER, ALWAYS),
    Method("notifications/resources/updated", _SERVER, ALWAYS),
    Method("completion/complete", _CLIENT, ALWAYS, _REFERENCE),
    Method("subscriptions/listen", _CLIENT, MODERN, _SUBSCRIBED, tasks=("notifications", "taskIds")),
    Method("notifications/subscriptions/acknowledged", _SERVER, MODERN),
    # What servers ask of clients: requests of their own up to 2025-11-25, inputRequests in results since.
    Method("sampling/createMessage", _SERVER, ALWAYS),
    Method("elicitation/create", _SERVER, ALWAYS),
    Method("notifications/elicitation/complete", _SERVER, LEGACY),
    Method("roots/list", _SERVER, ALWAYS),
    Method("notifications/roots/list_changed", _CLIENT, LEGACY),
    # Tasks: experimental and in both directions in 2025-11-25, an extension since.
    Method("tasks/get", _BOTH, ALWAYS, mirrored="taskId", tasks=_TASK_ID, extension=TASKS),
    Method("tasks/cancel", _BOTH, ALWAYS, mirrored="taskId", tasks=_TASK_ID, extension=TASKS),
    Method("tasks/update", _CLIENT, MODERN, mirrored="taskId", tasks=_TASK_ID, extension=TASKS),
    Method("tasks/result", _BOTH, LEGACY, tasks=_TASK_ID, extension=TASKS),
    Method("tasks/list", _BOTH, LEGACY, extension=TASKS),
    Method("notifications/tasks/status", _BOTH, LEGACY, tasks=_TASK_ID, extension=TASKS),
    Method("notifications/tasks", _SERVER, MODERN, tasks=_TASK_ID, extension=TASKS),
    # Skills: a skill is read by the URI of a resource.
    Method("skills/list", _CLIENT, ALWAYS, extension=SKILLS),
    Method(SKILLS_GET, _CLIENT, ALWAYS, _SKILL, extension=SKILLS),
)

METHODS: Final = {row.name: row for row in _ROWS}
"""The table by method name."""


def sent_by_client(method: str) -> bool:
    """True if a client may send `method`, in one revision at least."""
    row = METHODS.get(method)
    return row is not None and row.sender is not Sender.SERVER


def sent_by_server(method: str) -> bool:
    """True if a server may send `method`, in one revision at least."""
    row = METHODS.get(method)
    return row is not None and row.sender is not Sender.CLIENT


def removed_from_modern(method: str) -> bool:
    """True if earlier revisions have `method` and 2026-07-28 does not."""
    row = METHODS.get(method)
    return row is not None and Era.MODERN not in row.eras
