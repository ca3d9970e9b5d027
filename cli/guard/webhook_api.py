"""agentgateway's guardrail webhook, seen from the server: the policy's actions as pass, mask or reject."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from cli.guard.detector_api import UNPROCESSABLE, Refused
from cli.guard.examiner import Examiner
from mesh.policy.guardrails import Action, Direction, Part
from mesh.protocol.mcp.places import Root
from mesh.reasons import Reason
from sidecar.guardrails.masking import mask
from sidecar.guardrails.vault import Vault
from sidecar.guardrails.verdict import Verdict

FORBIDDEN: Final = 403


def request(examiner: Examiner, body: Any) -> dict[str, Any]:
    """The answer to /request. Raises Refused."""
    messages = _entries(body, "messages")
    return _decided(examiner, "messages", messages, messages, Direction.REQUEST)


def response(examiner: Examiner, body: Any) -> dict[str, Any]:
    """The answer to /response. Raises Refused."""
    choices = _entries(body, "choices")
    messages = [_object(choice.get("message"), "message") for choice in choices]
    return _decided(examiner, "choices", choices, messages, Direction.RESPONSE)


def _decided(
    examiner: Examiner,
    name: str,
    entries: list[dict[str, Any]],
    messages: list[dict[str, Any]],
    direction: Direction,
) -> dict[str, Any]:
    part = Part.ARGUMENTS if direction is Direction.REQUEST else Part.RESULTS
    roots = [
        Root(message, key, part if key == "content" else Part.PROTOCOL, (name, index), key == "content")
        for index, message in enumerate(messages)
        for key in message
    ]
    verdict = examiner.verdict(roots, direction)
    if verdict.reason is not None:
        return _rejected(verdict.reason)
    if verdict.action is not Action.MASK:
        return {"action": {"reason": _told(verdict) or "nothing found"}}
    vault = Vault()
    vault.avoid(msgspec.json.encode(entries).decode())
    if mask(verdict.findings, vault, direction=direction).unmaskable:
        return _rejected(Reason.GUARD_UNMASKABLE)
    return {"action": {"body": {name: entries}, "reason": _told(verdict)}}


def _rejected(reason: Reason) -> dict[str, Any]:
    return {"action": {"body": reason.sentence, "status_code": FORBIDDEN, "reason": str(reason)}}


def _told(verdict: Verdict) -> str:
    """What was found, by kind."""
    return ", ".join(dict.fromkeys(one.kind for one in verdict.findings))


def _entries(body: Any, name: str) -> list[dict[str, Any]]:
    entries = _object(_object(body, "the question").get("body"), "body").get(name)
    if type(entries) is not list:
        raise Refused(UNPROCESSABLE, f"body.{name}: expected an array")
    return [_object(one, f"body.{name}") for one in entries]


def _object(value: Any, what: str) -> dict[str, Any]:
    if type(value) is not dict:
        raise Refused(UNPROCESSABLE, f"{what}: expected an object")
    return value
