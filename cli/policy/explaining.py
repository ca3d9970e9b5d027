"""`outrider policy explain`: one decision, every level and every rule that had a say, and what would change it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cli.cluster import connect
from cli.output import write
from cli.output.blocks import Block, Heading, Line, Row, Table
from cli.policy import agents, on_behalf
from cli.policy.advice import advice
from cli.policy.conditions import Condition, conditions
from cli.policy.expectations import read_time
from cli.policy.loading import FINE, REFUSED, Misused, configure_settings, guarded, with_cluster, world_of
from cli.policy.naming import agent_named
from cli.policy.on_behalf import user_of
from cli.policy.questions import Question, decided, parties
from cli.policy.testing import pair_of
from cli.policy.treatment import Treatment, treatment
from cli.policy.voted import Voted
from cli.policy.votes import votes
from cli.policy.world import World
from mesh.policy import Decision

_INBOUND = "-"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("agent_name", metavar="AGENT", help="NAMESPACE/NAME of a workload, or of a pod")
    parser.add_argument("backend", metavar="BACKEND", help="a Backend; - with --from")
    parser.add_argument("tool", metavar="TOOL", help="a tool; with --kind something else")
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="policies and manifests; folders; - for stdin"
    )
    parser.add_argument("--arguments", type=_object, metavar="JSON", help="the arguments of the call")
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME=VALUE", help="of the HTTP request"
    )
    parser.add_argument("--time", type=_time, metavar="TIME", help="of the request, RFC 3339 (default: now)")
    parser.add_argument(
        "--kind", choices=("tool", "prompt", "resource", "method"), default="tool", help="(default: tool)"
    )
    parser.add_argument(
        "--from", dest="caller", default="", metavar="SPIFFE-ID", help="a caller of the agent"
    )
    parser.add_argument("--path", default="/mcp", metavar="PATH", help="with --from: where it calls")
    parser.add_argument(
        "--live-cluster", action="store_true", help="take what is in the cluster, files laid over it"
    )
    parser.add_argument(
        "--fail-if-refused", action="store_true", help="exit with 1 when it is refused, in place of 0"
    )
    on_behalf.configure(parser)
    agents.configure(parser)
    configure_settings(parser)
    write.configure(parser)
    connect.configure(parser)


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError('expected an object, like \'{"owner": "acme"}\'')
    return value


def _time(text: str) -> datetime:
    found = read_time(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write it like 2026-07-01T09:30:00Z")
    return found


def run(arguments: argparse.Namespace) -> int:
    """Explain; 0, 1 when it is refused and that was to fail, 2 when the input is wrong."""
    if arguments.labels is None and arguments.service_account is None:
        arguments.agent = [*arguments.agent]
    else:
        arguments.agent = [arguments.agent_name]
    if arguments.live_cluster:
        return guarded(lambda: with_cluster(arguments, lambda world: _explain(world, arguments)))
    return guarded(lambda: _explain(world_of(arguments.files, arguments), arguments))


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision on a question, who voted, what else was looked at, and what to change. `note` says why
    where more than policies decide."""

    question: Question
    selected: tuple[str, ...]
    decision: Decision
    votes: tuple[Voted, ...]
    conditions: tuple[Condition, ...]
    treatment: Treatment
    advice: tuple[str, ...]
    note: str = ""


def _explain(world: World, arguments: argparse.Namespace) -> int:
    question = question_of(arguments)
    found = explain(world, question, arguments.namespace)
    write.write(blocks(found), as_json(found), arguments.output)
    return REFUSED if arguments.fail_if_refused and not found.decision.allowed else FINE


def question_of(arguments: argparse.Namespace) -> Question:
    """What the options ask. Raises Misused."""
    if (arguments.backend == _INBOUND) != bool(arguments.caller):
        raise Misused("write - for BACKEND with --from, and only then: explain AGENT - TOOL --from SPIFFE-ID")
    name = (
        arguments.agent_name
        if "/" in arguments.agent_name
        else f"{arguments.namespace}/{arguments.agent_name}"
    )
    return Question(
        name,
        arguments.kind,
        arguments.tool,
        "" if arguments.backend == _INBOUND else arguments.backend,
        arguments.caller,
        arguments.path,
        {} if arguments.arguments is None else arguments.arguments,
        dict(pair_of(text, "--header NAME=VALUE") for text in arguments.header),
        arguments.time or datetime.now(UTC),
        user_of(arguments),
    )


def explain(world: World, question: Question, namespace: str = "default") -> Explanation:
    """Raises NoSuchAgent and NoSuchBackend."""
    agent = agent_named(question.agent, world.agents, namespace)
    question = replace(question, agent=agent.title)
    decision, note = decided(world, agent, question)
    found = votes(world, agent, question)
    return Explanation(
        question,
        world.policy(agent).policies,
        decision,
        tuple(found),
        tuple(conditions(world, agent, question)),
        treatment(world.policy(agent), *parties(world, agent, question)),
        tuple(advice(world, agent, question, decision, found)),
        note,
    )


def blocks(found: Explanation) -> Iterator[Block]:
    """For people."""
    decision = found.decision
    word = "allowed" if decision.allowed else "refused"
    yield Heading(f"{found.question.sentence}: {word}")
    observed = ", which only observes: enforced, it would be refused" if decision.observed else ""
    yield Line(f"by {decision.rule} ({decision.reason}){observed}", 2, word)
    yield Line(found.note or decision.reason.sentence, 2)
    if decision.message:
        yield Line(f"The policy says: {decision.message}", 2)
    for check in decision.checks:
        yield Line(
            f"It passes once {check.name} says yes ({check.protocol} {check.host}:{check.port}).", 2, "unsure"
        )
    yield Heading("Votes")
    rows = [
        Row((one.level, one.vote, one.rule, one.reason), (one.note,) if one.note else ())
        for one in found.votes
    ]
    if rows:
        yield Table(("level", "vote", "rule", "reason"), tuple(rows))
    else:
        yield Line("There is no policy in the agent's namespace, and without one nothing is granted.", 2)
    if found.conditions:
        yield Heading("Conditions")
        yield Table(("", "expression"), tuple(_condition(one) for one in found.conditions))
    if found.decision.allowed and (held := tuple(found.treatment.rows())):
        yield Heading("Also holds")
        yield Table(("", "what"), held)
    if found.advice:
        yield Heading("What to change")
        yield from (Line(text, 2) for text in found.advice)


def _condition(one: Condition) -> Row:
    below = (
        f"{one.where}",
        *(f"{name} = {value}" for name, value in one.values),
        *filter(None, (one.error,)),
    )
    return Row((one.result, one.expression), below)


def as_json(found: Explanation) -> dict[str, Any]:
    """For programs."""
    question, decision = found.question, found.decision
    return {
        "agent": question.agent,
        "backend": question.backend or None,
        "from": question.caller or None,
        "user": None if question.user is None else str(question.user),
        question.kind: question.name,
        "allowed": decision.allowed,
        "observed": decision.observed,
        "reason": str(decision.reason),
        "sentence": decision.reason.sentence,
        "rule": decision.rule,
        "note": found.note or None,
        "message": decision.message or None,
        "checks": [check.name for check in decision.checks],
        "policies": list(found.selected),
        "votes": [
            {
                "level": v.level,
                "policy": v.policy,
                "rule": v.rule,
                "vote": v.vote,
                "reason": v.reason,
                "note": v.note,
            }
            for v in found.votes
        ],
        "conditions": [
            {
                "where": c.where,
                "expression": c.expression,
                "result": c.result,
                "values": dict(c.values),
                "error": c.error,
            }
            for c in found.conditions
        ],
        "content": found.treatment.as_json(),
        "advice": list(found.advice),
    }
