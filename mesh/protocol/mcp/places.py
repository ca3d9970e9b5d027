"""Where the texts of a message stand, and what each is: arguments, results, descriptions, messages or protocol.

Every string of a message lies below exactly one root, known or not: what no revision describes is taken for
arguments on the way to a server and for results on the way back, so that nothing passes unseen in a member of
its own. Results are read by shape, since an answer may come under another method or id; what was asked only says
that a list beside content is no list. Small numbers that only the protocol reads (progress, sizes) are in no root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from mesh.policy.guardrails import Part
from mesh.protocol.mcp.methods import METHODS

Path = tuple[str | int, ...]


class Root(NamedTuple):
    """`holder[key]` and all below it is `part`; `path` leads from the message to `holder`.

    `maskable`: something else may stand in its place without breaking the protocol. `named`: the key is the
    sender's word as well, for it is none that the protocol knows. `binary`: base64 of what is hardly text.
    """

    holder: Any
    key: str | int
    part: Part
    path: Path
    maskable: bool = True
    named: bool = False
    binary: bool = False


Visit = Callable[[Any, Any, Path, list[Root]], None]
"""Appends the roots of `holder[key]`, where the path leads to the holder."""

_DEEP: Final = 48
"""Levels that are told apart; below, everything is what the level above is for what it does not know."""


def places_of_request(message: dict[str, Any]) -> tuple[Root, ...]:
    """The roots of what a client sends: a request, a notification, or the answer to a server's request."""
    method = message.get("method")
    params = _REQUEST_PARAMS if type(method) is str and method in METHODS else _UNKNOWN_PARAMS
    return _places(message, params, _CLIENT_RESULT)


def places_of_answer(message: dict[str, Any], asked: str | None) -> tuple[Root, ...]:
    """The roots of what a server sends: an answer (to the method `asked`, if that is known), a request or a
    notification."""
    method = message.get("method")
    params = _SERVER_PARAMS if type(method) is str and method in METHODS else _UNKNOWN_SERVER_PARAMS
    return _places(message, params, _CONTENT_RESULT if asked in _CONTENT_METHODS else _ANY_RESULT)


def _places(message: dict[str, Any], params: Visit, result: Visit) -> tuple[Root, ...]:
    out: list[Root] = []
    for name, value in message.items():
        if name == "params":
            params(message, name, (), out)
        elif name == "method" or name == "id":
            if type(value) is str:
                out.append(Root(message, name, Part.PROTOCOL, (), False))
            else:
                _PROTOCOL(message, name, (), out)
        elif name == "result":
            result(message, name, (), out)
        elif name == "error":
            _ERROR(message, name, (), out)
        elif name != "jsonrpc" or value != "2.0":
            out.append(Root(message, name, Part.PROTOCOL, (), True, True))
    return tuple(out)


def _mark(part: Part, *, maskable: bool = True, named: bool = False, binary: bool = False) -> Visit:
    """Everything below is one root."""

    def visit(holder: Any, key: Any, path: Path, out: list[Root]) -> None:
        out.append(Root(holder, key, part, path, maskable, named, binary))

    return visit


def _protocol(holder: Any, key: Any, path: Path, out: list[Root]) -> None:
    """Names, ids and other words of the protocol; small numbers among them say nothing."""
    value = holder[key]
    kind = type(value)
    if kind in _HOLD_TEXT or (
        (kind is int or kind is float) and not -_SAYS_SOMETHING < value < _SAYS_SOMETHING
    ):
        out.append(Root(holder, key, Part.PROTOCOL, path, False))


def _object(members: Mapping[str, Visit], other: Visit) -> Visit:
    """The members of an object by name."""

    def visit(holder: Any, key: Any, path: Path, out: list[Root]) -> None:
        value = holder[key]
        if type(value) is not dict or len(path) > _DEEP:
            other(holder, key, path, out)
            return
        inner = (*path, key)
        for name in value:
            members.get(name, other)(value, name, inner, out)

    return visit


def _each(entry: Visit, other: Visit) -> Visit:
    """The items of an array."""

    def visit(holder: Any, key: Any, path: Path, out: list[Root]) -> None:
        value = holder[key]
        if type(value) is not list or len(path) > _DEEP:
            other(holder, key, path, out)
            return
        inner = (*path, key)
        for index in range(len(value)):
            entry(value, index, inner, out)

    return visit


def _either(one: Visit, many: Visit) -> Visit:
    """What may be an array or stand alone."""

    def visit(holder: Any, key: Any, path: Path, out: list[Root]) -> None:
        (many if type(holder[key]) is list else one)(holder, key, path, out)

    return visit


def _entries(entry: Visit, part: Part) -> Visit:
    """The members of an object whose names are the sender's: each is named by a root of its own."""

    def visit(holder: Any, key: Any, path: Path, out: list[Root]) -> None:
        value = holder[key]
        if type(value) is not dict or len(path) > _DEEP:
            out.append(Root(holder, key, part, path))
            return
        inner = (*path, key)
        # The names stand in a list that is no part of the message: they are looked at, and cannot be masked.
        out.append(Root([list(value)], 0, Part.PROTOCOL, inner, False))
        for name in value:
            entry(value, name, inner, out)

    return visit


_HOLD_TEXT: Final = (str, dict, list)
_SAYS_SOMETHING: Final = 10**6
"""Numbers from here on may be somebody's: an id is its sender's to choose."""
_PROTOCOL: Final = _protocol
_LOOSE: Final = _mark(Part.PROTOCOL, named=True)
_RESERVED_META: Final = (
    *("progressToken", "traceparent", "tracestate", "baggage"),
    *(
        f"io.modelcontextprotocol/{name}"
        for name in (
            *("protocolVersion", "clientCapabilities", "clientInfo", "logLevel", "serverInfo"),
            *("subscriptionId", "related-task"),
        )
    ),
)
_META: Final = _object(dict.fromkeys(_RESERVED_META, _PROTOCOL), _LOOSE)
_MESSAGE: Final = _mark(Part.MESSAGES)
_DESCRIPTION: Final = _mark(Part.DESCRIPTIONS)
_NAMED_DESCRIPTION: Final = _mark(Part.DESCRIPTIONS, maskable=False)


def _words(*names: str) -> dict[str, Visit]:
    """Members that only the protocol reads."""
    return dict.fromkeys(names, _PROTOCOL)


def _unknown(part: Part) -> Visit:
    return _mark(part, named=True)


_ERROR: Final = _object({"message": _MESSAGE, "data": _MESSAGE, "code": _PROTOCOL}, _unknown(Part.MESSAGES))


def _resource(part: Part) -> Visit:
    """A resource with its content: an entry of resources/read, or embedded in a block."""
    text = _mark(part)
    blob = _mark(part, maskable=False, binary=True)
    return _object(
        {"uri": text, "text": text, "blob": blob, "mimeType": _PROTOCOL, "_meta": _META}, _unknown(part)
    )


def _block(part: Part) -> Visit:
    """One block of content: text, image, audio, a resource or a link to one, a use of a tool or its result."""
    text, other = _mark(part), _unknown(part)
    binary = _mark(Part.PROTOCOL, maskable=False, binary=True)
    members: dict[str, Visit] = {
        **_words("type", "mimeType", "id", "toolUseId", "size", "isError"),
        **dict.fromkeys(("text", "uri", "name", "title", "description", "input", "structuredContent"), text),
        "annotations": _object(_words("audience", "priority", "lastModified"), other),
        "resource": _resource(part),
        "_meta": _META,
    }

    def visit(holder: Any, key: Any, path: Path, out: list[Root]) -> None:
        value = holder[key]
        if type(value) is not dict or len(path) > _DEEP:
            text(holder, key, path, out)
            return
        inner = (*path, key)
        kind = value.get("type")
        for name in value:
            if name == "data" and (kind == "image" or kind == "audio"):
                binary(value, name, inner, out)
            elif name == "name" and kind == "tool_use":
                _PROTOCOL(value, name, inner, out)
            else:
                members.get(name, other)(value, name, inner, out)

    members["content"] = _either(text, _each(visit, text))
    return visit


def _content(part: Part) -> Visit:
    """`content` of a result: blocks, one block beside a role (sampling), or what a user entered (elicitation)."""
    block, text = _block(part), _mark(part)
    blocks = _each(block, text)

    def visit(holder: Any, key: Any, path: Path, out: list[Root]) -> None:
        if type(holder[key]) is list:
            blocks(holder, key, path, out)
        elif "role" in holder:
            block(holder, key, path, out)
        else:
            text(holder, key, path, out)

    return visit


def _chat(part: Part) -> Visit:
    """`messages` of a prompt or of a request to sample."""
    block, other = _block(part), _unknown(part)
    content = _either(block, _each(block, other))
    entry = _object({"role": _PROTOCOL, "content": content, "_meta": _META}, other)
    return _each(entry, other)


_OFFERED: Final = _object(
    {
        **_words("mimeType", "size"),
        **dict.fromkeys(("name", "uri", "uriTemplate"), _NAMED_DESCRIPTION),
        **dict.fromkeys(
            ("title", "description", "inputSchema", "outputSchema", "annotations", "icons", "arguments"),
            _DESCRIPTION,
        ),
    },
    _unknown(Part.DESCRIPTIONS),
)
_OFFERS: Final = _each(_OFFERED, _DESCRIPTION)
_IMPLEMENTATION: Final = _object(
    {"name": _NAMED_DESCRIPTION, "version": _NAMED_DESCRIPTION}, _unknown(Part.DESCRIPTIONS)
)
_TASK_WORDS: Final = _words("taskId", "status", "createdAt", "lastUpdatedAt", "ttl", "pollInterval")
_TASK: Final = {**_TASK_WORDS, "statusMessage": _MESSAGE, "_meta": _META}


def _result(part: Part, members: Mapping[str, Visit]) -> Visit:
    """A result by its shape: what all have in common, and `members`. Tasks hold a whole result in `result`."""
    text, other = _mark(part), _unknown(part)
    task = _object(_TASK, other)
    table: dict[str, Visit] = {
        **_TASK,
        **_words(
            "resultType", "requestState", "nextCursor", "cacheScope", "ttlMs", "isError", "total", "hasMore"
        ),
        "content": _content(part),
        "structuredContent": text,
        "task": task,
        "tasks": _each(task, other),
        "error": _ERROR,
        **members,
    }
    visit = _object(table, other)
    table["result"] = visit
    return visit


_ROOT = _object(dict.fromkeys(("uri", "name"), _mark(Part.ARGUMENTS)), _unknown(Part.ARGUMENTS))
_CLIENT_RESULT: Final = _result(
    Part.ARGUMENTS,
    {**_words("role", "model", "stopReason", "action"), "roots": _each(_ROOT, _unknown(Part.ARGUMENTS))},
)

_ARGUMENTS = _mark(Part.ARGUMENTS)
_REFERENCE = _object({**_words("type", "name"), "uri": _ARGUMENTS}, _unknown(Part.ARGUMENTS))
_REQUEST_PARAMS: Final = _object(
    {
        **_words(
            "name", "cursor", "taskId", "requestState", "task", "level", "protocolVersion", "capabilities"
        ),
        **_words("progressToken", "progress", "total", "requestId", "status"),
        "arguments": _ARGUMENTS,
        "uri": _ARGUMENTS,
        "ref": _REFERENCE,
        "argument": _object({"name": _PROTOCOL, "value": _ARGUMENTS}, _unknown(Part.ARGUMENTS)),
        "context": _object({"arguments": _ARGUMENTS}, _unknown(Part.ARGUMENTS)),
        "notifications": _object(
            {
                **_words("taskIds", "toolsListChanged", "promptsListChanged", "resourcesListChanged"),
                "resourceSubscriptions": _ARGUMENTS,
            },
            _unknown(Part.ARGUMENTS),
        ),
        "inputResponses": _entries(_CLIENT_RESULT, Part.ARGUMENTS),
        "clientInfo": _mark(Part.PROTOCOL, maskable=False),
        "message": _MESSAGE,
        "reason": _MESSAGE,
        "statusMessage": _MESSAGE,
        "result": _CLIENT_RESULT,
        "error": _ERROR,
        "_meta": _META,
    },
    _unknown(Part.ARGUMENTS),
)
_UNKNOWN_PARAMS: Final = _object({"_meta": _META}, _unknown(Part.ARGUMENTS))

_ASKED_PARAMS: Final = {
    **_words("progressToken", "progress", "total", "requestId", "level", "elicitationId", "mode", "taskId"),
    **_words("toolChoice", "modelPreferences", "includeContext", "maxTokens", "temperature", "cursor"),
    **dict.fromkeys(
        ("message", "data", "logger", "reason", "url", "requestedSchema", "systemPrompt", "stopSequences"),
        _MESSAGE,
    ),
    "messages": _chat(Part.MESSAGES),
    "tools": _OFFERS,
    "uri": _mark(Part.PROTOCOL),
    "notifications": _object(_words("taskIds"), _unknown(Part.PROTOCOL)),
    "metadata": _MESSAGE,
    "_meta": _META,
}
"""Members of what servers ask and tell."""
_INPUT_REQUEST: Final = _object(
    {"method": _PROTOCOL, "params": _object(_ASKED_PARAMS, _unknown(Part.MESSAGES))}, _unknown(Part.MESSAGES)
)
_INPUT_REQUESTS: Final = {"inputRequests": _entries(_INPUT_REQUEST, Part.MESSAGES)}

_PROMPT_OR_RESOURCE: Final = {
    "messages": _chat(Part.RESULTS),
    "contents": _each(_resource(Part.RESULTS), _unknown(Part.RESULTS)),
    "completion": _object(
        {"values": _mark(Part.RESULTS), **_words("total", "hasMore")}, _unknown(Part.RESULTS)
    ),
    **_INPUT_REQUESTS,
}
_CONTENT_RESULT: Final = _result(Part.RESULTS, _PROMPT_OR_RESOURCE)
_ANY_RESULT: Final = _result(
    Part.RESULTS,
    {
        **_PROMPT_OR_RESOURCE,
        **dict.fromkeys(("tools", "prompts", "resources", "resourceTemplates", "skills"), _OFFERS),
        **_words("protocolVersion", "supportedVersions", "capabilities"),
        "instructions": _DESCRIPTION,
        "serverInfo": _IMPLEMENTATION,
    },
)
_CONTENT_METHODS: Final = frozenset(
    {"tools/call", "prompts/get", "resources/read", "completion/complete", "tasks/result", "tasks/get"}
)
_SERVER_PARAMS: Final = _object(
    {**_TASK, **_ASKED_PARAMS, **_INPUT_REQUESTS, "result": _CONTENT_RESULT, "error": _ERROR},
    _unknown(Part.RESULTS),
)
_UNKNOWN_SERVER_PARAMS: Final = _object({"_meta": _META}, _unknown(Part.RESULTS))
