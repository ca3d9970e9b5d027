"""The entries that the policies of some worlds hold about a Backend: what names have to be told apart by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cli.policy.agents import Agent
from cli.policy.judging import names_backend, selecting
from cli.policy.symbols import ANY, DEEP, Classes, NameClass, classes_of
from cli.policy.world import World
from mesh.policy import Backend
from mesh.policy.documents import McpGrant, Names

_SCHEME = "spiffe://"
_SOME_ID = f"{_SCHEME}{ANY}{DEEP}/{ANY}{DEEP}"
_ANYBODY = "*"
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
            patterns.update(dict.fromkeys(_narrowed(agent)))
        patterns.update(dict.fromkeys(_access(world, kind)))
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
        patterns.update(dict.fromkeys(_access(world, kind)))
    return classes_of([*patterns, "*"])


def entries(grant: McpGrant, kind: str) -> Iterator[str]:
    """Everything that a rule matches names of one kind with."""
    names: Names | None = getattr(grant, SECTIONS[kind])
    if names is not None:
        yield from names.allow
        yield from names.deny
    if kind == "tool":
        yield from (one.tool for one in grant.arguments)


def _narrowed(agent: Agent) -> Iterator[str]:
    """The tools in annotations, whichever Backend they name."""
    for group in (*agent.narrowing.tools_allow, agent.narrowing.tools_deny):
        yield from (one.partition("/")[2] for one in group)


def _access(world: World, kind: str) -> Iterator[str]:
    """The names in access policies, which know no patterns."""
    category = SECTIONS[kind]
    for policy in world.documents.access_policies:
        for rule in policy.rules:
            for method in (rule.authorization.methods if rule.authorization else None) or ():
                if method.name.partition("/")[0] == category:
                    yield from method.params


def caller_classes(worlds: Iterable[World], agent: Agent) -> list[NameClass]:
    """The callers that the inbound rules of an agent, and access policies, tell apart.

    The entries are as rules have them, with `*` for whoever is in no other.
    """
    patterns: dict[str, str] = {_SOME_ID: _ANYBODY}
    for world in worlds:
        for policy in selecting(world, agent):
            for rule in policy.inbound or ():
                patterns |= {_deep(one): one for one in rule.sources if one.startswith(_SCHEME)}
        for access in world.documents.access_policies:
            patterns |= {rule.source: rule.source for rule in access.rules if isinstance(rule.source, str)}
    found = classes_of(list(patterns), ill_formed=False, stops="/").classes
    return [
        NameClass(one.example, tuple(patterns[entry] for entry in one.entries))
        for one in found
        if _SOME_ID in one.entries
    ]


def _deep(source: str) -> str:
    """A last segment `*` goes further than one segment."""
    return source[:-1] + ANY + DEEP if source.endswith("/*") else source
