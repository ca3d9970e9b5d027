"""Whose messages these are, and what they are about: what guardrails and their memories are asked by."""

from __future__ import annotations

from mesh.protocol.jsonrpc import Message
from mesh.protocol.mcp.methods import TOOLS_CALL
from sidecar.guardrails.vault import VaultKey
from sidecar.proxy.offered import Whose
from sidecar.proxy.plan import Plan


def session_of(plan: Plan) -> VaultKey:
    """The session of an agent's, for one user, with a server."""
    principal = plan.principal
    user = None if principal.user is None else str(principal.user)
    session = plan.head.fields.get(b"mcp-session-id")
    return VaultKey(principal.id, user, plan.server, None if session is None else session.decode("latin-1"))


def whose(plan: Plan) -> Whose:
    """Who is shown what a server offers."""
    principal = plan.principal
    return Whose(plan.server, principal.id, None if principal.user is None else str(principal.user))


def tool_of(message: Message) -> str | None:
    """The tool that a request calls."""
    params = message.params
    if message.method != TOOLS_CALL or type(params) is not dict:
        return None
    name = params.get("name")
    return name if type(name) is str else None


def tool_of_stream(plan: Plan) -> str | None:
    """The tool that what comes on a stream beside answers is about; None: any."""
    return plan.tool if len(plan.asked) == 1 else None


def asked(plan: Plan, answer: Message) -> tuple[str | None, str | None]:
    """The method that a message of the server's answers and the tool that this called, as far as that is sure: a
    client takes the answer to another request of its session from any stream."""
    if answer.method is not None:
        return None, tool_of_stream(plan)
    request = plan.asked_for(answer)
    if request is None or (answer.id is not None and str(request.id) != str(answer.id)):
        return None, None
    return request.method, tool_of(request)
