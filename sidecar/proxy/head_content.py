"""What the head of a request to an MCP endpoint says beside its messages: the query, and fields for arguments.

A server may read either as an argument, and no message shows it. `Mcp-Param-*` that repeat an argument were
looked at with it, and follow it where it is masked; the others, and the query, cannot be masked without breaking
what they are for, so that the request is refused where they would be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from mesh.policy.guardrails import Action, Direction, Part
from mesh.protocol.http1.heads import Headers
from mesh.protocol.jsonrpc import Kind, Message
from mesh.protocol.mcp.denials import denial
from mesh.protocol.mcp.headers import decode_value
from mesh.protocol.mcp.places import Root
from mesh.reasons import Reason
from sidecar.guardrails.mirrored import PREFIX
from sidecar.proxy.beside_messages import write_down
from sidecar.proxy.plan import Plan

if TYPE_CHECKING:
    from sidecar.proxy.pipeline import Pipeline


def reason_against_head(
    plan: Plan, headers: Headers, found: Sequence[Message], pipeline: Pipeline
) -> Reason | None:
    """Why a request must not leave with these headers (names in lower case), and messages as they are now; None:
    it may. Writes down what was found."""
    query = plan.routed.path.partition(b"?")[2]
    if not query and not any(name.startswith(PREFIX) for name, _ in headers):
        return None
    guard = pipeline.answers.guard
    held = None if guard is None else guard.in_force(plan)
    if held is None:
        return None
    texts = [*_readings(query), *_unrepeated(headers, found)]
    if not texts:
        return None
    root = Root({"head": texts}, "head", Part.ARGUMENTS, (), False)
    verdict = held.engine.examine((root,), Direction.REQUEST, plan.tool)
    write_down(pipeline.recorder, plan, verdict, "head")
    return verdict.reason if verdict.action is Action.BLOCK else None


def denials_for(plan: Plan, found: Sequence[Message], reason: Reason) -> dict[int, dict[str, object]]:
    """The refusal of every message, since the head is that of all."""
    return {
        index: denial(message.id, reason, None, plan.modern) if message.kind is Kind.REQUEST else {}
        for index, message in enumerate(found)
    }


def _readings(query: bytes) -> Iterator[str]:
    if query:
        text = query.decode("latin-1")
        yield text
        plain = unquote_plus(text)
        if plain != text:
            yield plain


def _unrepeated(headers: Headers, found: Sequence[Message]) -> Iterator[str]:
    """The values of fields that repeat no argument."""
    repeated: set[str] | None = None
    for name, value in headers:
        if name.startswith(PREFIX):
            if repeated is None:
                repeated = set(_scalars(message.params for message in found))
            text = decode_value(value)
            if text is None:
                text = value.decode("latin-1")
            if text not in repeated:
                yield text


def _scalars(values: Iterable[Any]) -> Iterator[str]:
    pending = list(values)
    while pending:
        value = pending.pop()
        if type(value) is dict:
            pending += value.values()
        elif type(value) is list:
            pending += value
        elif value is not None:
            yield str(value)
