"""The entries that the policies of some worlds hold about a Backend: what names have to be told apart by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from cli.policy.agents import Agent
from cli.policy.judging import selecting
from cli.policy.symbols import ANY, DEEP, Classes, NameClass, classes_of
from cli.policy.world import World, names_backend
from mesh.policy import Backend
from mesh.policy.access.rules import source_id
from mesh.policy.documents import McpGrant, Names

_SCHEME = "spiffe://"
_SOME_ID = f"{_SCHEME}{ANY}{DEEP}/{ANY}{DEEP}"
_ANYBODY = "*"
_TEXT = r"(?:\"([^\"\\]+)\"|'([^'\\]+)')"
_LITERAL = re.compile(_TEXT)
_COMPARED = re.compile(rf"tool_name\s*(?:\.(startsWith|endsWith|contains)\(|==)\s*{_TEXT}")
_LISTED = re.compile(r"tool_name\s+in\s+\[([^\]]*)\]")
_SHAPES = {"startsWith": "{}*", "endsWith": "*{}", "contains": "*{}*"}
_GLOB = frozenset("*?")
SECTIONS = {"tool": "tools", "prompt": "prompts", "resource": "resources"}


def patterns_for(worlds: Iterable[World], agent: Agent, backend: Backend, kind: str) -> tuple[str, ...]:
    """Every entry by which one of these worlds tells tools, prompts or resources of a Backend apart."""
    patterns: dict[str, None] = {}
    for world in worlds:
        for policy in selecting(world, agent):
            for rule in policy.outbound:
                if names_backend(rule.backend, backend, agent.namespace):
                    patterns.update(dict.fromkeys(entries(rule.mcp, kind)))
        if kind == "tool":
            patterns.update(dict.fromkeys(_narrowed(world.own(agent))))
        patterns.update(dict.fromkeys(_access(world, agent, kind)))
    return tuple(patterns)


def classes_for(worlds: Iterable[World], agent: Agent, backend: Backend, kind: str) -> Classes:
    """The classes of tools, prompts or resources that any of these worlds tells apart, and `*`."""
    return classes_of([*patterns_for(worlds, agent, backend, kind), "*"])


def inbound_classes_for(worlds: Iterable[World], agent: Agent, kind: str) -> Classes:
    """The same for what the agent itself serves."""
    patterns: dict[str, None] = {}
    for world in worlds:
        for policy in selecting(world, agent):
            for rule in policy.inbound or ():
                if rule.mcp is not None:
                    patterns.update(dict.fromkeys(entries(rule.mcp, kind)))
        patterns.update(dict.fromkeys(_access(world, agent, kind)))
    return classes_of([*patterns, "*"])


def entries(grant: McpGrant, kind: str) -> Iterator[str]:
    """Everything that a rule matches names of one kind with."""
    named: Names | None = getattr(grant, SECTIONS[kind])
    if named is not None:
        yield from named.allow
        yield from named.deny
    if kind == "tool":
        yield from (one.tool for one in grant.arguments)


def _narrowed(agent: Agent) -> Iterator[str]:
    """The tools in annotations, whichever Backend they name."""
    for group in (*agent.narrowing.tools_allow, agent.narrowing.tools_deny):
        yield from (one.partition("/")[2] for one in group)


def _access(world: World, agent: Agent, kind: str) -> Iterator[str]:
    """The names in access policies, which know no patterns."""
    category = SECTIONS[kind]
    for policy in world.configured(agent).access_policies:
        for rule in policy.rules:
            for method in (rule.authorization.methods if rule.authorization else None) or ():
                if method.name.partition("/")[0] == category:
                    yield from method.params
    if kind == "tool":
        for expression in expressions(world, agent):
            yield from _literals(expression)


def expressions(world: World, agent: Agent) -> Iterator[str]:
    """The expressions in the access policies of an agent, which may look at the names of tools."""
    for policy in world.configured(agent).access_policies:
        for rule in policy.rules:
            if rule.authorization is not None and rule.authorization.cel is not None:
                yield rule.authorization.cel


def _literals(expression: str) -> Iterator[str]:
    """What an expression compares the name of the tool with, as patterns."""
    for function, double, single in _COMPARED.findall(expression):
        text = double or single
        if text and not _GLOB & set(text):
            yield _SHAPES.get(function, "{}").format(text)
    for listed in _LISTED.findall(expression):
        yield from (a or b for a, b in _LITERAL.findall(listed) if not _GLOB & set(a or b))


def caller_classes(worlds: Iterable[World], agent: Agent) -> list[NameClass]:
    """The callers that the inbound rules of an agent, and access policies, tell apart.

    The entries are as rules have them, with `*` for whoever is in no other.
    """
    patterns: dict[str, str] = {_SOME_ID: _ANYBODY}
    for world in worlds:
        for policy in selecting(world, agent):
            for rule in policy.inbound or ():
                patterns |= {_deep(one): one for one in rule.sources if one.startswith(_SCHEME)}
        for access in world.configured(agent).access_policies:
            known = (source_id(rule, world.trust_domain) for rule in access.rules)
            patterns |= {one: one for one in known if one}
    found = classes_of(list(patterns), ill_formed=False, stops="/").classes
    return [
        NameClass(one.example, tuple(patterns[entry] for entry in one.entries))
        for one in found
        if _SOME_ID in one.entries
    ]


def _deep(source: str) -> str:
    """A last segment `*` goes further than one segment."""
    return source[:-1] + ANY + DEEP if source.endswith("/*") else source
