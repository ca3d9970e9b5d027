"""What to change so that a decision comes out otherwise: one sentence for each reason that policies have."""

from __future__ import annotations

from collections.abc import Iterator

from cli.policy.agents import Agent
from cli.policy.judging import selecting
from cli.policy.questions import Question
from cli.policy.voted import DENY, GRANT, Voted
from cli.policy.world import World
from mesh.policy import Decision
from mesh.policy.entries import well_formed_name
from mesh.reasons import Reason

_NOT_GRANTED = {Reason.TOOL_NOT_GRANTED: "tools", Reason.PROMPT_NOT_GRANTED: "prompts"}
_NOT_GRANTED[Reason.RESOURCE_NOT_GRANTED] = "resources"


def advice(
    world: World, agent: Agent, question: Question, decision: Decision, found: list[Voted]
) -> Iterator[str]:
    """Sentences; the first is the smallest change."""
    if decision.allowed and not decision.observed:
        yield from _to_refuse(question, found)
    else:
        yield from _to_allow(world, agent, question, decision, found)


def _to_refuse(question: Question, found: list[Voted]) -> Iterator[str]:
    section = {"tool": "tools", "prompt": "prompts", "resource": "resources"}.get(question.kind)
    granting = [one for one in found if one.vote == GRANT]
    if section is None:
        yield "To refuse it, take away the rule for this Backend: the base protocol comes with any grant."
        return
    for one in granting[:1]:
        place = one.rule.partition(f" {section}.")[0]
        yield f'To refuse it, add "{question.name}" to {section}.deny of {place}: a deny of any policy wins.'
    exact = [one for one in granting if one.rule.endswith("]") and f"{section}.allow[" in one.rule]
    if exact:
        yield f"Or take away every entry that grants it: {', '.join(one.rule for one in exact)}."


def _to_allow(
    world: World, agent: Agent, question: Question, decision: Decision, found: list[Voted]
) -> Iterator[str]:
    reason = decision.reason
    denying = [one.rule for one in found if one.vote == DENY]
    if denying:
        yield f"To allow it, take away {', '.join(denying)}; nothing that is added wins over a deny."
    elif decision.rule.endswith((" users", " scopes")):
        yield _OTHER[Reason.USER_NOT_GRANTED].format(rule=decision.rule)
    elif reason in _NOT_GRANTED:
        section, place = _NOT_GRANTED[reason], decision.rule.partition(" tools.")[0]
        place = place.partition(f" {section}.")[0]
        yield f'To allow it, add "{question.name}" to {section}.allow of {place}.'
    elif reason is Reason.NAME_OUTSIDE_CHARSET:
        yield f"To allow it, write the name out exactly; patterns match only usual characters, {_odd(question)}."
    elif reason in _OTHER:
        yield _OTHER[reason].format(
            rule=decision.rule, backend=question.backend, agent=agent.title, caller=question.caller
        )
    if not selecting(world, agent) and reason is not Reason.ACCESS_POLICY_NOT_GRANTED:
        labels = ", ".join(f"{key}: {value}" for key, value in sorted(agent.labels.items())) or "none"
        yield (
            f"No AgentPolicy selects {agent.title} (labels {labels}): write one in namespace {agent.namespace} "
            "whose selector.matchLabels it has."
        )


def _odd(question: Question) -> str:
    return "this name has others" if not well_formed_name(question.name) else "this one is not matched by any"


_OTHER = {
    Reason.BACKEND_NOT_GRANTED: "To allow it, add an outbound rule to a policy that selects {agent}: "
    "{{backend: {backend}, tools: {{allow: [...]}}}}.",
    Reason.NARROWED_BY_POD: "The policies allow it; an annotation takes it away: {rule}. Change that annotation.",
    Reason.NO_INBOUND_RULE: "To allow it, add an inbound section to a policy that selects {agent}: "
    '[{{from: ["{caller}"], mcp: {{tools: {{allow: [...]}}}}}}].',
    Reason.USER_NOT_GRANTED: "The rule is for other users, or for tokens with other scopes: look at {rule}, and "
    "ask on behalf of a user with --user and --scopes.",
    Reason.PEER_NOT_ALLOWED: "To allow it, add the caller to `from` of an inbound rule: {caller}.",
    Reason.PROTOCOL_NOT_ALLOWED: "To allow it, add mcp to the rule that admits the caller: {rule}.",
    Reason.INBOUND_PATH_NOT_DECLARED: "The rule grants MCP at another path: look at mcp.path of {rule}.",
    Reason.ACCESS_POLICY_NOT_GRANTED: "Access policies close this target, and none of their rules lets this pass: "
    "add a rule for this source and name to one of {rule}, or write another with the same targetRefs.",
    Reason.ARGUMENTS_REFUSED: "The tool is granted, and the arguments are not as {rule} requires: "
    "call it with others, or change `require` there.",
    Reason.UNKNOWN_METHOD: "The rule grants no methods that this version does not know; "
    "unknownMethods: allow lets them pass, uninspected.",
}
