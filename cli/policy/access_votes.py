"""What every rule of the access policies says to one question, target by target."""

from __future__ import annotations

from collections.abc import Iterator

from cli.policy.access import source_told
from cli.policy.agents import Agent
from cli.policy.questions import Question, context_of, parties
from cli.policy.voted import APART, ASKS, GRANT, SILENT, Voted
from cli.policy.world import World
from mesh.policy import AccessPolicy, TargetRef
from mesh.policy.access.accept import accept
from mesh.policy.access.documents import AccessRule, Action
from mesh.policy.access.rules import ANYBODY, CompiledRule, source_id
from mesh.policy.facts import Facts
from mesh.policy.questions import question_of


def access_votes(world: World, agent: Agent, question: Question) -> Iterator[Voted]:
    """Of every access policy that concerns the target. Raises NoSuchBackend."""
    principal, target = parties(world, agent, question)
    asked = question_of(principal, target, question.method, question.subject, None)
    facts = Facts(asked, question.arguments, None, context_of(target, question))
    for level in world.levels(agent).at(target):
        verdicts = accept(world.configured(agent).access_policies, level.target)
        for policy, verdict in verdicts.items():
            if not verdict.accepted:
                note = f"{verdict.reason}: {verdict.message}; it grants nothing, and closes its target"
                yield Voted(_level(level.target), policy.label, policy.label, APART, note=note)
            else:
                yield from _of_policy(world, policy, facts, _level(level.target))


def _level(target: TargetRef) -> str:
    return f"{target.kind} {target.namespace}/{target.name}"


def _of_policy(world: World, policy: AccessPolicy, facts: Facts, level: str) -> Iterator[Voted]:
    for rule in policy.rules or (AccessRule(""),):
        label = f"{policy.label} {rule.name}".rstrip()
        vote, note = _vote(rule, label, facts, world.trust_domain)
        if policy.action is Action.EXTERNAL_AUTH and vote == GRANT:
            vote, note = ASKS, "its authorization service has to say yes"
        elif rule.delegated and vote == GRANT:
            note = "its authorization service has to say yes, too"
        yield Voted(level, policy.label, label, vote, note=note)


def _vote(rule: AccessRule, label: str, facts: Facts, trust_domain: str) -> tuple[str, str]:
    if source_id(rule, trust_domain) not in (ANYBODY, facts.question.principal):
        return SILENT, f"it is about {source_told(rule)}, not {facts.question.principal}"
    conditions = CompiledRule(rule, label, trust_domain).match(facts.question)
    if conditions is None:
        return SILENT, "its methods and names do not cover this"
    held = conditions.holds(facts)
    if held is None:
        return SILENT, "whether its conditions hold cannot be told, which grants nothing"
    return (GRANT, "") if held else (SILENT, "its conditions do not hold")
