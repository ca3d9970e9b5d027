"""What a request is about: the tools, prompts and resources it names, which a policy decides on one by one.

Only the body counts; headers are compared with it elsewhere. A request of a known method that does not name
its subject properly is refused, because a server might find a name where none is seen here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from mesh.protocol.lookalikes import KnownNames
from mesh.protocol.mcp.errors import malformed
from mesh.protocol.mcp.methods import (
    METHODS,
    RESOURCES_READ,
    TEMPLATES_LIST,
    Form,
    Naming,
    SubjectKind,
)

__all__ = ["Subject", "SubjectKind", "subjects"]

_PARAMS = KnownNames(
    "_meta", "name", "arguments", "uri", "ref", "notifications", "task", "inputResponses", "requestState"
)
_REFERENCE_MEMBERS = KnownNames("type", "name", "uri")
_NOTIFICATION_MEMBERS = KnownNames("resourceSubscriptions", "taskIds")


class Subject(msgspec.Struct, frozen=True, gc=False):
    """One thing that a message names or a list offers.

    `name` is a tool's or prompt's name, or a resource's URI or URI template, exactly as sent. `method` is the
    method to ask the policy about. `arguments` are those of tools/call and prompts/get, None otherwise or
    when absent.
    """

    kind: SubjectKind
    name: str
    method: str
    arguments: dict[str, Any] | None = None


# The naming of each method that has one; all that the hot path needs of the table.
_NAMINGS = {row.name: row.naming for row in METHODS.values() if row.naming is not None}


def subjects(method: str, params: dict[str, Any] | list[Any] | None) -> tuple[Subject, ...]:
    """Everything that a request or notification of `method` names; () for methods that name nothing.

    Raises McpRefused (MCP_MALFORMED, -32602) when a name is missing or no string, arguments are no object, or
    a member differs from a known one in case only.
    """
    naming = _NAMINGS.get(method)
    if naming is None:
        return ()
    if type(params) is not dict:
        raise malformed(f"params of {method} is not an object")
    refuse_lookalike(params, _PARAMS)
    if naming.form is Form.STRING:
        name = params.get(naming.path[0])
        if type(name) is not str:
            raise malformed(f"params.{naming.path[0]} of {method} is not a string")
        arguments = params.get("arguments")
        if arguments is not None and type(arguments) is not dict:
            raise malformed(f"params.arguments of {method} is not an object")
        return (Subject(naming.kind, name, naming.ask, arguments),)
    if naming.form is Form.REFERENCE:
        return (_referenced(params),)
    return _subscribed(naming, params)


def refuse_lookalike(members: dict[str, Any], known: KnownNames) -> None:
    """Raise McpRefused if a member would be one of `known` to a reader that ignores case."""
    lookalike = known.lookalike(members)
    if lookalike is not None:
        raise malformed(f"the member {lookalike!r} differs from a known one in case only")


def _referenced(params: dict[str, Any]) -> Subject:
    """The ref of completion/complete: a prompt by its name, or a resource by its URI or URI template."""
    ref = params.get("ref")
    if type(ref) is not dict:
        raise malformed("params.ref of completion/complete is not an object")
    refuse_lookalike(ref, _REFERENCE_MEMBERS)
    match ref:
        case {"type": "ref/prompt", "name": str(name)}:
            return Subject(SubjectKind.PROMPT, name, "prompts/get")
        case {"type": "ref/resource", "uri": str(uri)} if "{" in uri:
            return Subject(SubjectKind.TEMPLATE, uri, TEMPLATES_LIST)
        case {"type": "ref/resource", "uri": str(uri)}:
            return Subject(SubjectKind.RESOURCE, uri, RESOURCES_READ)
    raise malformed("params.ref of completion/complete names neither a prompt nor a resource")


def _subscribed(naming: Naming, params: dict[str, Any]) -> tuple[Subject, ...]:
    """The resources that subscriptions/listen asks to hear of."""
    notifications = params.get(naming.path[0])
    if notifications is None:
        return ()
    if type(notifications) is not dict:
        raise malformed("params.notifications is not an object")
    refuse_lookalike(notifications, _NOTIFICATION_MEMBERS)
    uris = notifications.get(naming.path[1])
    if uris is None:
        return ()
    if type(uris) is not list or any(type(uri) is not str for uri in uris):
        raise malformed("params.notifications.resourceSubscriptions is not a list of strings")
    return tuple(Subject(naming.kind, uri, naming.ask) for uri in uris)
