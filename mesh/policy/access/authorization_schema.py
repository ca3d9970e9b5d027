"""The schema of a rule's `authorization`, v1alpha1: what of MCP and of HTTP the rule is about."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from mesh.policy.access import shapes
from mesh.policy.access.documents import Authorization, HeaderMatch, MatchType, MethodMatch, PathMatch
from mesh.policy.access.regular import regular_fault
from mesh.policy.fields import INVALID, Field, Invalid, Place, choice, integer, read_object, text
from mesh.policy.yaml_tree import Node

MAX_PARAM = 20
MAX_EXPRESSION = 16384
MAX_MESSAGE = 1024


class RuleType(StrEnum):
    """How a rule says what it is about."""

    INLINE = "Inline"
    CEL = "CEL"


class BaseOption(StrEnum):
    """Whether the methods of the base protocol match too."""

    SKIP = "SKIP_BASE_PROTOCOL_METHODS"
    MATCH = "MATCH_BASE_PROTOCOL_METHODS"


class McpName(StrEnum):
    """Methods that can be named, and categories of them."""

    TOOLS = "tools"
    PROMPTS = "prompts"
    RESOURCES = "resources"
    PROMPTS_LIST = "prompts/list"
    TOOLS_LIST = "tools/list"
    RESOURCES_LIST = "resources/list"
    TEMPLATES_LIST = "resources/templates/list"
    PROMPTS_GET = "prompts/get"
    TOOLS_CALL = "tools/call"
    SUBSCRIBE = "resources/subscribe"
    UNSUBSCRIBE = "resources/unsubscribe"
    READ = "resources/read"


WITH_PARAMS = (
    *(McpName.PROMPTS_GET, McpName.TOOLS_CALL),
    *(McpName.SUBSCRIBE, McpName.UNSUBSCRIBE, McpName.READ),
)


class HttpMethod(StrEnum):
    """HTTP methods that can be named."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    CONNECT = "CONNECT"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"
    PATCH = "PATCH"


_PARAM = text(shapes.any_text(MAX_PARAM, empty=True))
METHOD_FIELDS = {
    "name": Field(choice(McpName), missing="the method, or tools, prompts or resources"),
    "params": Field(shapes.set_of(_PARAM, at_most=10, one="name"), default=()),
}


def _read_method(node: Node, place: Place) -> MethodMatch | Invalid:
    values = read_object(node, place, METHOD_FIELDS)
    if values is None or INVALID in values.values():
        return INVALID
    if values["params"] and values["name"] not in WITH_PARAMS:
        message = f"{values['name']} has none; allowed for {', '.join(WITH_PARAMS)}"
        place.child("params").report(message, node.line)
        return INVALID
    return MethodMatch(str(values["name"]), values["params"])


_read_methods = shapes.all_of(_read_method, at_most=10)


def _read_distinct_methods(node: Node, place: Place) -> tuple[MethodMatch, ...] | Invalid:
    found = _read_methods(node, place)
    if isinstance(found, Invalid):
        return INVALID
    seen: set[str] = set()
    for index, match in enumerate(found):
        if match.name in seen:
            place.item(index).child("name").report(f"{match.name} stands in the list twice", node.line)
            return INVALID
        seen.add(match.name)
    return tuple(found)


MCP_FIELDS = {
    "methods": Field(_read_distinct_methods, default=()),
    "mcpBaseProtocolMethodsOption": Field(choice(BaseOption), default=BaseOption.SKIP),
}


def _read_mcp(node: Node, place: Place) -> tuple[tuple[MethodMatch, ...], bool] | Invalid:
    values = read_object(node, place, MCP_FIELDS)
    if values is None or INVALID in values.values():
        return INVALID
    return values["methods"], values["mcpBaseProtocolMethodsOption"] is BaseOption.MATCH


CEL_FIELDS = {
    "expression": Field(text(shapes.any_text(MAX_EXPRESSION, empty=True)), missing="a CEL expression"),
    "message": Field(text(shapes.any_text(MAX_MESSAGE, empty=True)), default=""),
}


def read_cel(node: Node, place: Place) -> tuple[str, str] | Invalid:
    """An expression and its message. Whether it compiles is a question of acceptance, not of shape."""
    values = read_object(node, place, CEL_FIELDS)
    if values is None or INVALID in values.values():
        return INVALID
    return values["expression"], values["message"]


class _HeaderType(StrEnum):
    EXACT = "Exact"
    REGULAR_EXPRESSION = "RegularExpression"


PATH_FIELDS = {
    "type": Field(choice(MatchType), default=MatchType.PATH_PREFIX),
    "value": Field(text(shapes.any_text(1024, empty=True)), default=""),
}
HEADER_FIELDS = {
    "name": Field(text(shapes.field_name), missing="the name of a header"),
    "type": Field(choice(_HeaderType), default=_HeaderType.EXACT),
    "value": Field(text(shapes.any_text(4096)), missing="what the header has to be"),
}


def _read_path(node: Node, place: Place) -> PathMatch | Invalid:
    values = _matching(node, place, PATH_FIELDS)
    return INVALID if values is None else PathMatch(values["type"], values["value"])


def _read_header(node: Node, place: Place) -> HeaderMatch | Invalid:
    values = _matching(node, place, HEADER_FIELDS)
    if values is None:
        return INVALID
    return HeaderMatch(values["name"].lower(), MatchType(values["type"]), values["value"])


def _matching(node: Node, place: Place, fields: dict[str, Field]) -> dict[str, Any] | None:
    """The fields of a match, whose regular expression, if it is one, is one of RE2."""
    values = read_object(node, place, fields)
    if values is None or INVALID in values.values():
        return None
    if values["type"] == MatchType.REGULAR_EXPRESSION:
        fault = regular_fault(values["value"])
        if fault is not None:
            place.child("value").report(fault, node.line)
            return None
    return values


AUTHORIZATION_FIELDS = {
    "type": Field(choice(RuleType), missing="allowed: Inline, CEL"),
    "mcp": Field(_read_mcp, default=((), False)),
    "cel": Field(read_cel),
    "methods": Field(shapes.set_of(choice(HttpMethod), at_most=9, one="method"), default=()),
    "paths": Field(shapes.all_of(_read_path, at_most=10), default=()),
    "headers": Field(shapes.all_of(_read_header, at_most=10), default=()),
    "hosts": Field(shapes.set_of(text(shapes.host), at_most=10, one="host"), default=()),
    "ports": Field(shapes.set_of(integer(1, 65535), at_most=10, one="port"), default=()),
}


def read_authorization(node: Node, place: Place) -> Authorization | Invalid:
    """What `authorization` says, INVALID when a fault was reported."""
    values = read_object(node, place, AUTHORIZATION_FIELDS)
    if values is None or not _agrees(values, node, place) or INVALID in values.values():
        return INVALID
    methods, base = values["mcp"]
    expression, message = values["cel"] or (None, "")
    return Authorization(
        methods=methods if methods or base else None,
        base=base,
        cel=expression,
        message=message,
        http_methods=tuple(map(str, values["methods"])),
        paths=values["paths"],
        headers=values["headers"],
        hosts=values["hosts"],
        ports=values["ports"],
    )


def _agrees(values: dict[str, Any], node: Node, place: Place) -> bool:
    """An expression stands there exactly where the type says so."""
    if values["type"] == RuleType.CEL and values["cel"] is None:
        place.child("cel").error(node, "missing; type CEL needs it")
        return False
    if values["type"] == RuleType.INLINE and values["cel"] is not None:
        place.child("cel").report("type Inline has no expression; write type: CEL", node.line)
        return False
    return True
