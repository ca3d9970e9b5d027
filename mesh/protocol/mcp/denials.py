"""How the answer to what a policy refuses reads: like that of a server which does not have the thing.

A denial is a JSON-RPC error in an ordinary HTTP answer: clients of the handshake era end their session at a
4xx. For hidden tools, prompts and resources it is what the specification has servers say of unknown ones, so
that a caller cannot tell refused from absent. What has no such answer gets a code of ours, outside the range
that JSON-RPC and MCP reserve (-32768 to -32000), with the reason in words.

Where it is so configured, every refusal reads as forbidden instead, in the form that the reference implementation
of XAccessPolicy gives it: one code and one sentence, which tell that something is there.
"""

from __future__ import annotations

from typing import Any, Final

from mesh.protocol.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    JsonRpcRefused,
    error_response,
)
from mesh.protocol.mcp.errors import RESOURCE_NOT_FOUND, McpRefused
from mesh.protocol.mcp.subjects import Subject, SubjectKind
from mesh.protocol.strict_json import JsonRefused
from mesh.reasons import Reason

POLICY_CODES: Final = {
    Reason.BACKEND_NOT_GRANTED: -31001,
    Reason.PEER_NOT_ALLOWED: -31002,
    Reason.NO_INBOUND_RULE: -31003,
    Reason.EGRESS_DENIED: -31004,
    Reason.PATH_NOT_DECLARED: -31005,
    Reason.PROTOCOL_NOT_ALLOWED: -31006,
    Reason.SERVER_REQUEST_REFUSED: -31007,
    Reason.BATCH_REFUSED: -31008,
    Reason.INBOUND_PATH_NOT_DECLARED: -31009,
    Reason.EXTERNAL_AUTH_DENIED: -31010,
    Reason.EXTERNAL_AUTH_FAILED: -31011,
    Reason.EXTERNAL_AUTH_GRPC_MISSING: -31012,
    Reason.EXTERNAL_AUTH_IMPOSSIBLE: -31013,
    Reason.USER_NOT_GRANTED: -31014,
    Reason.GUARD_PII: -31015,
    Reason.GUARD_SECRET: -31016,
    Reason.GUARD_SQL: -31017,
    Reason.GUARD_INJECTION: -31018,
    Reason.GUARD_EXFILTRATION: -31019,
    Reason.GUARD_TERM: -31020,
    Reason.GUARD_SHAPE: -31021,
    Reason.GUARD_EXTERNAL: -31022,
    Reason.GUARD_FAILED: -31023,
    Reason.GUARD_TIMEOUT: -31024,
    Reason.GUARD_UNMASKABLE: -31025,
    Reason.TOOL_POISONED: -31026,
    Reason.PIN_CHANGED: -31027,
    Reason.PIN_ADDED: -31028,
    Reason.PIN_LOOKALIKE: -31029,
    Reason.PIN_NOT_APPROVED: -31030,
    Reason.RATE_LIMITED: -31031,
    Reason.TOO_MANY_CONCURRENT: -31032,
    Reason.RESULT_TOO_LARGE: -31033,
    Reason.RATE_STORE_UNAVAILABLE: -31034,
}
"""Codes of ours for refusals that no code of the specification describes."""
OTHER_POLICY_CODE: Final = -31000

FORBIDDEN_CODE: Final = 403
FORBIDDEN_MESSAGE: Final = "Access to this tool is forbidden."
"""Said word for word, whatever was refused: the conformance tests of kube-agentic-networking compare it."""


def denial(
    id: str | int | None,
    reason: Reason,
    subject: Subject | None,
    modern: bool,
    *,
    method: str | None = None,
    message: str = "",
    forbidden: bool = False,
) -> dict[str, Any]:
    """The error that answers request `id` when a policy refuses it for `reason`.

    `subject` is what was refused, None if it was the method, peer or destination; `modern` is the era of the
    request; `method` is told in the answer where it was the method. `message` is what the author of the policy
    says about it: where there is one, the caller may see the thing, and reads it. `forbidden`: whatever was
    refused reads as forbidden.
    """
    if forbidden:
        return forbidden_response(id, message)
    if message:
        return error_response(id, INVALID_PARAMS, message, {"reason": str(reason)})
    if reason is Reason.UNKNOWN_METHOD:
        return error_response(
            id, METHOD_NOT_FOUND, f"Method not found: {method}" if method else "Method not found"
        )
    if reason is Reason.TASK_OF_ANOTHER:
        return error_response(id, INVALID_PARAMS, "Task not found")
    if subject is None or reason in POLICY_CODES:
        return error_response(
            id, POLICY_CODES.get(reason, OTHER_POLICY_CODE), reason.sentence, {"reason": str(reason)}
        )
    if subject.kind is SubjectKind.TOOL:
        return error_response(id, INVALID_PARAMS, f"Unknown tool: {subject.name}")
    if subject.kind is SubjectKind.PROMPT:
        return error_response(id, INVALID_PARAMS, f"Unknown prompt: {subject.name}")
    code = INVALID_PARAMS if modern else RESOURCE_NOT_FOUND
    return error_response(id, code, "Resource not found", {"uri": subject.name})


def forbidden_response(id: str | int | None, message: str = "") -> dict[str, Any]:
    """The error of the reference implementation, with no more in it than this; `message` as for `denial`."""
    return error_response(id, FORBIDDEN_CODE, message or FORBIDDEN_MESSAGE)


def denial_status(response: dict[str, Any], modern: bool) -> int:
    """The HTTP status that carries a `denial`: 200, or 404 for unknown methods, as 2026-07-28 demands."""
    return 404 if modern and response["error"]["code"] == METHOD_NOT_FOUND else 200


def refusal(
    refused: JsonRefused | JsonRpcRefused | McpRefused, id: str | int | None = None
) -> tuple[int, dict[str, Any]]:
    """HTTP status and error for a message that could not be read; `id` is the request's, where known."""
    if isinstance(refused, McpRefused):
        return refused.http_status, error_response(id, refused.code, refused.detail, refused.data)
    data = {"reason": str(refused.reason)}
    if isinstance(refused, JsonRefused):
        return 400, error_response(None, PARSE_ERROR, f"Parse error: {refused.detail}", data)
    known = refused.id if id is None else id
    return 400, error_response(known, INVALID_REQUEST, f"Invalid Request: {refused.detail}", data)
