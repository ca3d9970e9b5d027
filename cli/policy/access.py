"""What access policies say to a question that is not a whole request yet.

Which of their rules might let it pass, and what would have to hold for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cli.policy.agents import Agent
from cli.policy.world import World
from mesh.policy import AccessPolicy, Principal, RequestContext
from mesh.policy.access.conditions import ARGUMENTS
from mesh.policy.access.documents import AccessRule, ServiceAccount
from mesh.policy.access.level import Answer, Option
from mesh.policy.access.rules import ALWAYS
from mesh.policy.decision import Target
from mesh.policy.facts import ANY_ARGUMENTS, Facts
from mesh.policy.questions import question_of


@dataclass(frozen=True, slots=True)
class Needs:
    """`request` are conditions on HTTP fields, time and the like, `arguments` those that read arguments, `asked`
    the policies whose authorization services have to say yes. `possible`: no target refuses every request."""

    request: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    possible: bool = False


def needs_of(
    world: World,
    agent: Agent,
    principal: Principal,
    target: Target,
    method: str,
    name: str | None,
    context: RequestContext,
) -> Needs:
    """For a question whose request is known as far as `context` goes."""
    levels = world.levels(agent).at(target)
    if not levels:
        return Needs()
    question = question_of(principal, target, method, name, None)
    facts = Facts(question, ANY_ARGUMENTS, None, context)
    rules = dict(_rules(world.configured(agent).access_policies))
    request: list[str] = []
    arguments: list[str] = []
    asked: list[str] = []
    possible = True
    for level in levels:
        answer = level.answer(question)
        for group in answer.groups:
            left = [one for one in group if one.conditions.holds(facts) is not False]
            possible = possible and bool(left)
            _sort(left, facts, rules, request, arguments)
        asked += _asked(answer, facts)
    told = [tuple(dict.fromkeys(one)) for one in (request, arguments, asked)]
    return Needs(told[0], told[1], told[2], possible)


def _sort(
    left: list[Option], facts: Facts, rules: dict[str, AccessRule], request: list[str], arguments: list[str]
) -> None:
    """What one group needs: nothing, where an option holds as it is."""
    reading = [one for one in left if _reads_arguments(rules.get(one.rule))]
    if any(one.conditions is ALWAYS or (one.conditions.holds(facts) and one not in reading) for one in left):
        return
    told = " or ".join(_condition(one.rule, rules.get(one.rule)) for one in left)
    if told and all(one in reading and one.conditions.holds(facts) for one in left):
        arguments.append(told)
    elif told:
        request.append(told)


def _asked(answer: Answer, facts: Facts) -> Iterator[str]:
    if answer.check is not None and any(one.conditions.may_hold(facts) for one in answer.triggers):
        yield answer.check.name


def _reads_arguments(rule: AccessRule | None) -> bool:
    said = rule.authorization if rule is not None else None
    return said is not None and said.cel is not None and ARGUMENTS in said.cel


def _rules(policies: tuple[AccessPolicy, ...]) -> Iterator[tuple[str, AccessRule]]:
    """Rules by the names that decisions cite them by."""
    for policy in policies:
        for rule in policy.rules:
            yield f"{policy.label} {rule.name}".rstrip(), rule


def _condition(label: str, rule: AccessRule | None) -> str:
    said = rule.authorization if rule is not None else None
    if said is None:
        return label
    parts = [said.cel] if said.cel else []
    parts += [f"{one.name}: {one.value}" for one in said.headers]
    for word, values in (
        ("method", said.http_methods),
        ("host", said.hosts),
        ("path", [one.value for one in said.paths]),
        ("port", said.ports),
    ):
        parts += [f"{word} {' or '.join(map(str, values))}"] if values else []
    return f"{' and '.join(parts)} ({label})" if parts else label


def source_told(rule: AccessRule) -> str:
    """Whom a rule is about."""
    if rule.source is None:
        return "anybody"
    source = rule.source
    return (
        f"ServiceAccount {source.namespace}/{source.name}" if isinstance(source, ServiceAccount) else source
    )
