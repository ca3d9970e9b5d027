"""What every rule says to one question: the votes behind a decision, those of policies without effect included."""

from __future__ import annotations

from collections.abc import Iterator

from cli.policy.access_votes import access_votes
from cli.policy.agents import Agent
from cli.policy.questions import Question, parties
from cli.policy.voted import APART, DENY, GRANT, SILENT, Voted
from cli.policy.world import World, names_backend
from mesh.policy import AgentPolicy, Backend, BackendProtocol, Principal
from mesh.policy.compile import compile_rules
from mesh.policy.decision import Inbound, Target
from mesh.policy.documents import Mode
from mesh.policy.rules import Rule, Verdict, Vote
from mesh.policy.user_conditions import Standings
from mesh.reasons import Reason

_WORDS = {Verdict.GRANT: GRANT, Verdict.DENY: DENY, Verdict.SILENT: SILENT}


def votes(world: World, agent: Agent, question: Question) -> list[Voted]:
    """Of every AgentPolicy that the agent's namespace has. Raises NoSuchBackend."""
    principal, target = parties(world, agent, question)
    found: list[Voted] = []
    for policy in sorted(world.documents.policies, key=lambda one: one.name):
        if policy.namespace in (None, agent.namespace):
            found += _of_policy(policy, agent, question, target, principal)
    return [*found, *access_votes(world, agent, question)]


def _of_policy(
    policy: AgentPolicy, agent: Agent, question: Question, target: Target, caller: Principal
) -> Iterator[Voted]:
    label = f"AgentPolicy/{policy.name}"
    lacking = [f"{key}={value}" for key, value in policy.match_labels if agent.labels.get(key) != value]
    if lacking:
        yield Voted(
            "agent",
            label,
            label,
            APART,
            note=f"it does not select the agent, which lacks {', '.join(lacking)}",
        )
        return
    note = _note(policy, agent)
    rules = list(_rules(policy, agent, target, caller))
    if not rules:
        yield Voted(
            "agent", label, label, SILENT, note="; ".join(filter(None, (_no_rule(policy, target), note)))
        )
    for rule in rules:
        vote = _vote(rule, question, target)
        yield Voted("agent", label, vote.rule, _WORDS[vote.verdict], str(vote.reason), note)


def _note(policy: AgentPolicy, agent: Agent) -> str:
    notes = []
    if policy.mode is Mode.OBSERVE and not agent.narrowing.enforce:
        notes.append("mode observe: it blocks nothing")
    if agent.narrowing.leaves_out(policy.name):
        notes.append("left out by annotation: its grants do not count")
    return "; ".join(notes)


def _no_rule(policy: AgentPolicy, target: Target) -> str:
    if isinstance(target, Backend):
        return f"no outbound rule names Backend {target.name}"
    if policy.inbound is None:
        return "it has no inbound section, and says nothing about callers"
    return "no inbound rule names this caller"


def _rules(policy: AgentPolicy, agent: Agent, target: Target, caller: Principal) -> Iterator[Rule]:
    """The rules about a caller and a target, as they are for its user."""
    rules = list(_about(policy, agent, target, caller.id))
    standings = Standings(rule.users for rule in rules)
    standing = standings.of(caller.user)
    yield from (rule.for_others(standings.lacking(rule.users, standing)) for rule in rules)


def _about(policy: AgentPolicy, agent: Agent, target: Target, caller: str) -> Iterator[Rule]:
    compiled = compile_rules(policy)
    if isinstance(target, Inbound):
        for inbound in compiled.inbound or ():
            if inbound.admits(caller):
                yield inbound.at(target.path)
        return
    for outbound in compiled.outbound:
        if names_backend(outbound.backend, target, agent.namespace):
            yield outbound.rule


def _vote(rule: Rule, question: Question, target: Target) -> Vote:
    if isinstance(target, Backend) and target.protocol is not BackendProtocol.MCP:
        return rule.held(Vote(Verdict.GRANT, Reason.ALLOWED, rule.label))
    return rule.vote(question.method, question.subject)
