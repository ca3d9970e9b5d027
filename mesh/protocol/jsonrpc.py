"""JSON-RPC 2.0 messages: what kind each is, and which are none.

The kind decides who checks a message, so it must be read from the message alone and in one way only. Stacks
differ on hybrids (a method next to a result runs as a request on some and is dropped by others), on odd ids
(1.0 is 1 to some) and on the case of member names (Go reads "Method" as "method"), so all of these are
refused. Members that JSON-RPC does not know are let be.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

import msgspec

from mesh.protocol.lookalikes import KnownNames
from mesh.reasons import Reason

MAX_BATCH: Final = 50
"""Messages in a batch unless the caller says otherwise."""

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603

_MEMBERS = KnownNames("jsonrpc", "id", "method", "params", "result", "error")

# Member names found harmless: a bounded memo of a pure function, since objects of one kind repeat theirs.
_WITHOUT_LOOKALIKE: set[tuple[tuple[str, ...], frozenset[str]]] = set()
_MEMO_ENTRIES = 256
_MEMO_CHARACTERS = 512


class Kind(Enum):
    """What a message is (JSON-RPC 2.0, sections 4 and 5)."""

    REQUEST = "request"
    NOTIFICATION = "notification"
    RESULT = "result"
    ERROR = "error"


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message. `value` is the object it was read from; members that the kind lacks are None.

    `id` is None for notifications, and for errors that answer a request whose id could not be read.
    `result` may be null in a RESULT. `error` is an object; its members are not checked.
    """

    kind: Kind
    id: str | int | None
    method: str | None
    params: dict[str, Any] | list[Any] | None
    result: Any
    error: dict[str, Any] | None
    value: dict[str, Any]


class JsonRpcRefused(Exception):
    """The sender's JSON is not a JSON-RPC message that every stack reads alike.

    `id` is that of the message where it is usable, for the answer; the code to answer with is
    INVALID_REQUEST.
    """

    def __init__(self, reason: Reason, detail: str, id: str | int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.id = id


def classify(value: Any) -> Message:
    """The one message in `value`, as mesh.protocol.strict_json.parse made it. Raises JsonRpcRefused."""
    if type(value) is not dict:
        raise JsonRpcRefused(Reason.JSONRPC_INVALID, "a message is an object")
    lookalike = _MEMBERS.lookalike(value)
    if lookalike is not None:
        raise _refused(value, Reason.JSONRPC_INVALID, f"the member {lookalike!r} differs in case only")
    if value.get("jsonrpc") != "2.0":
        raise _refused(value, Reason.JSONRPC_INVALID, 'jsonrpc is not "2.0"')
    if "method" in value:
        return _call(value)
    return _response(value)


def messages(value: Any, *, max_batch: int = MAX_BATCH) -> tuple[tuple[Message, ...], bool]:
    """Every message in `value`, and whether it is a batch (an array). Raises JsonRpcRefused.

    Batches ended with MCP 2025-03-26, yet servers of later revisions still run them: each element counts.
    One bad element refuses the batch, with the id of that element.
    """
    if type(value) is not list:
        return (classify(value),), False
    if not 0 < len(value) <= max_batch:
        raise JsonRpcRefused(
            Reason.BATCH_TOO_LARGE, f"a batch of {len(value)}; from 1 to {max_batch} are taken"
        )
    return tuple(map(classify, value)), True


def error_response(id: str | int | None, code: int, message: str, data: Any = None) -> dict[str, Any]:
    """An error to answer the request `id` with (None: its id could not be read). `data` is left out when None."""
    error = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": id, "error": error}


def _call(value: dict[str, Any]) -> Message:
    method = value["method"]
    if type(method) is not str:
        raise _refused(value, Reason.JSONRPC_INVALID, "method is not a string")
    if "result" in value or "error" in value:
        raise _refused(value, Reason.JSONRPC_HYBRID, "a method next to a result or error")
    params = value.get("params")
    if params is not None and type(params) is not dict and type(params) is not list:
        raise _refused(value, Reason.JSONRPC_INVALID, "params is neither an object nor an array")
    if "id" not in value:
        return Message(Kind.NOTIFICATION, None, method, params, None, None, value)
    id = value["id"]
    if type(id) is not int and type(id) is not str:
        raise JsonRpcRefused(Reason.JSONRPC_ID, "the id of a request is a string or an integer")
    return Message(Kind.REQUEST, id, method, params, None, None, value)


def _response(value: dict[str, Any]) -> Message:
    if "result" in value:
        if "error" in value:
            raise _refused(value, Reason.JSONRPC_HYBRID, "a result next to an error")
        id = value.get("id")
        if type(id) is not int and type(id) is not str:
            raise JsonRpcRefused(Reason.JSONRPC_ID, "the id of a result is a string or an integer")
        return Message(Kind.RESULT, id, None, None, value["result"], None, value)
    if "error" not in value:
        raise _refused(value, Reason.JSONRPC_INVALID, "neither a method nor a result nor an error")
    id = value.get("id")
    if id is not None and type(id) is not int and type(id) is not str:
        raise JsonRpcRefused(Reason.JSONRPC_ID, "the id of an error is a string, an integer or null")
    error = value["error"]
    if type(error) is not dict:
        raise _refused(value, Reason.JSONRPC_INVALID, "error is not an object")
    return Message(Kind.ERROR, id, None, None, None, error, value)


def _refused(value: dict[str, Any], reason: Reason, detail: str) -> JsonRpcRefused:
    id = value.get("id")
    return JsonRpcRefused(reason, detail, id if type(id) is int or type(id) is str else None)
