"""The expressions that a call has to satisfy, what they come to, and the values that they read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cli.policy.agents import Agent
from cli.policy.judging import selecting
from cli.policy.questions import Question, context_of, find_backend, parties
from cli.policy.world import World, names_backend
from mesh.cel import (
    CelExhausted,
    CelFailed,
    CelInvalid,
    CelType,
    access_policy_variables,
    compile_expression,
)
from mesh.policy import AgentPolicy, Principal
from mesh.policy.access.accept import accept
from mesh.policy.access.rules import ANYBODY, source_id
from mesh.policy.decision import Target
from mesh.policy.documents import ArgumentRule, McpGrant
from mesh.policy.globs import EntryList

_ARGS: Mapping[str, CelType] = {"args": CelType.JSON_OBJECT}
_PATH = re.compile(r"\b(?:args|request|source)(?:\.\??[A-Za-z_]\w*|\[\"[^\"]*\"\]|\['[^']*'\])+(?!\w*\()")
_STEP = re.compile(r"\.\??([A-Za-z_]\w*)|\[[\"']([^\"']*)[\"']\]")
_MOST_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Condition:
    """`result` is true, false or error; `values` are what it reads, and what its parts come to."""

    where: str
    expression: str
    result: str
    values: tuple[tuple[str, str], ...] = ()
    error: str = ""


def conditions(world: World, agent: Agent, question: Question) -> Iterator[Condition]:
    """Of the rules about arguments, and of access policies. Raises NoSuchBackend."""
    if question.kind != "tool":
        return
    yield from _of_access(world, agent, question)
    arguments = dict(question.arguments or {})
    for where, rule in _rules(world, agent, question):
        if EntryList((rule.tool,)).find(question.name) is not None:
            said = f"{where} (tool {rule.tool})" + (f": {rule.message}" if rule.message else "")
            yield evaluated(said, rule.require, _ARGS, {"args": arguments}, {"args": arguments})


def _of_access(world: World, agent: Agent, question: Question) -> Iterator[Condition]:
    """The expressions of accepted rules about whoever asks."""
    principal, target = parties(world, agent, question)
    given = _values(principal, target, question)
    for level in world.levels(agent).at(target):
        for policy, verdict in accept(world.configured(agent).access_policies, level.target).items():
            for rule in policy.rules if verdict.accepted else ():
                said = rule.authorization
                source = source_id(rule, world.trust_domain)
                if said is not None and said.cel is not None and source in (ANYBODY, principal.id):
                    where = f"{policy.label} {rule.name}"
                    yield evaluated(where, said.cel, access_policy_variables, given, _nested(given))


def _values(principal: Principal, target: Target, question: Question) -> dict[str, Any]:
    """The variables of access policies for this request, those that are known."""
    context = context_of(target, question)
    values = {
        "request.mcp.tool_name": question.subject,
        "request.mcp.arguments": dict(question.arguments or {}),
        "request.method": context.method,
        "request.host": context.host,
        "request.path": context.path,
        "request.url_path": None if context.path is None else context.path.partition("?")[0],
        "request.headers": dict(context.headers or {}),
        "request.time": context.time,
        "source.spiffe_id": principal.id,
    }
    return {name: value for name, value in values.items() if value is not None}


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a.b": 1}` as `{"a": {"b": 1}}`."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        inner = nested
        for step in path:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return nested


def _rules(world: World, agent: Agent, question: Question) -> Iterator[tuple[str, ArgumentRule]]:
    for policy in selecting(world, agent):
        for place, grant in _grants(world, agent, question, policy):
            for index, rule in enumerate(grant.arguments):
                yield f"AgentPolicy/{policy.name} {place}arguments[{index}]", rule


def _grants(
    world: World, agent: Agent, question: Question, policy: AgentPolicy
) -> Iterator[tuple[str, McpGrant]]:
    if question.caller:
        for index, inbound in enumerate(policy.inbound or ()):
            if inbound.mcp is not None:
                yield f"inbound[{index}] mcp ", inbound.mcp
        return
    backend = find_backend(world, agent, question.backend)
    for index, outbound in enumerate(policy.outbound):
        if names_backend(outbound.backend, backend, agent.namespace):
            yield f"outbound[{index}] ", outbound.mcp


def evaluated(
    where: str,
    text: str,
    variables: Mapping[str, CelType],
    given: Mapping[str, Any],
    shown: Mapping[str, Any],
) -> Condition:
    """An expression over `given`; `shown` is the same as nested mappings, for the values of its paths."""
    values = tuple((path, _value(path, shown)) for path in dict.fromkeys(_PATH.findall(text)))
    result, error = _result(text, variables, given)
    parts = [part for part in split(text) if part != text.strip()]
    told = tuple((part, _result(part, variables, given)[0]) for part in parts)
    return Condition(where, text, result, (*values, *told), error)


def _result(text: str, variables: Mapping[str, CelType], given: Mapping[str, Any]) -> tuple[str, str]:
    try:
        return str(compile_expression(text, variables).evaluate(given)).lower(), ""
    except CelInvalid as invalid:
        return "error", "; ".join(invalid.errors)
    except (CelFailed, CelExhausted) as failed:
        return "error", f"no answer, which refuses: {failed.detail}"


def _value(path: str, shown: Mapping[str, Any]) -> str:
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    value: Any = shown.get(name)
    for step in _STEP.finditer(path[len(name) :]):
        key = step.group(1) or step.group(2)
        if not isinstance(value, Mapping) or key not in value:
            return "(absent)"
        value = value[key]
    told = json.dumps(value, ensure_ascii=False, default=str)
    return told if len(told) <= _MOST_SHOWN else told[:_MOST_SHOWN] + "…"


def split(text: str) -> list[str]:
    """The operands of the outermost `&&` and `||`."""
    parts, depth, quote, start, index = [], 0, "", 0, 0
    while index < len(text):
        character = text[index]
        if quote:
            index += character == "\\"
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif depth == 0 and text[index : index + 2] in ("&&", "||"):
            parts.append(text[start:index].strip())
            start, index = index + 2, index + 1
        index += 1
    return [*parts, text[start:].strip()]
