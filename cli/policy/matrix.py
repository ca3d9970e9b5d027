"""Who may call what: a row for each agent, Backend and tool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from cli.output.blocks import Block, Heading, Line, Row, Table
from cli.policy.agents import Agent
from cli.policy.inventory import Tools
from cli.policy.judging import State, Verdict, judge, judge_inbound, judge_method
from cli.policy.known_users import NEEDED, as_known, refusal
from cli.policy.patterns import classes_for, inbound_classes_for
from cli.policy.symbols import NameClass, telling
from cli.policy.treatment import NOTHING, Treatment, treatment
from cli.policy.world import World, backend_title
from mesh.policy import Backend, BackendProtocol, Decision
from mesh.policy.access.rules import source_id
from mesh.reasons import Reason

EVERYTHING = "(everything)"


@dataclass(frozen=True, slots=True)
class Cell:
    """`symbolic`: the tool is a pattern, and stands for all names that it alone describes. `backend` is "" where
    `caller` asks the agent itself."""

    agent: str
    backend: str
    tool: str
    verdict: Verdict
    symbolic: bool = False
    caller: str = ""
    treatment: Treatment = NOTHING


def outbound(world: World, tools: Tools) -> Iterator[Cell]:
    """What every agent may call."""
    for agent in world.agents:
        for backend in world.backends(agent):
            told = _of_backend(as_known(world, agent), agent, backend, tools)
            held = treatment(world.policy(agent), world.principal(agent), backend)
            for cell in _without_user(told, refusal(world, agent, backend, world.user)):
                yield replace(cell, treatment=held)


def _without_user(cells: Iterator[Cell], refused: tuple[Decision, str] | None) -> Iterator[Cell]:
    """The cells, with what is granted and yet refused for want of a user."""
    for cell in cells:
        if refused is None or not cell.verdict.passes:
            yield cell
        else:
            decision, told = refused
            needs = (NEEDED,) if decision.reason is Reason.SUBJECT_MISSING else (f"another user: {told}",)
            verdict = Verdict(State.NO_USER, str(decision.reason), decision.rule, needs)
            yield replace(cell, verdict=verdict)


def _of_backend(world: World, agent: Agent, backend: Backend, tools: Tools) -> Iterator[Cell]:
    title = backend_title(backend, agent.namespace)
    if backend.protocol is not BackendProtocol.MCP:
        yield Cell(agent.title, title, EVERYTHING, judge_method(world, agent, backend, "any"))
        return
    listed = tools.get(title, tools.get(backend.name, tools.get("")))
    if listed is None:
        classes = classes_for([world], agent, backend, "tool").classes
        verdicts = [judge(world, agent, backend, "tool", one.example) for one in classes]
        for index in _shown(classes, verdicts):
            yield Cell(agent.title, title, classes[index].title, verdicts[index], symbolic=True)
    else:
        for tool in listed:
            yield Cell(agent.title, title, tool, judge(world, agent, backend, "tool", tool))


def inbound(world: World, tools: Tools, callers: list[str]) -> Iterator[Cell]:
    """Who may call every agent."""
    for agent in world.agents:
        paths = [one.path for one in world.policy(agent).entrances.declared if one.path] or ["/mcp"]
        for caller in callers:
            if caller == agent.spiffe_id:
                continue
            for path in sorted(paths):
                told = _of_caller(as_known(world, agent), agent, caller, path, tools)
                target = world.policy(agent).inbound(path)
                held = treatment(world.policy(agent), world.principal(agent, caller), target)
                for cell in _without_user(told, refusal(world, agent, target, world.user)):
                    yield replace(cell, treatment=held)


def _of_caller(world: World, agent: Agent, caller: str, path: str, tools: Tools) -> Iterator[Cell]:
    listed = tools.get(agent.title, tools.get(agent.name))
    if listed is None:
        classes = inbound_classes_for([world], agent, "tool").classes
        verdicts = [judge_inbound(world, agent, caller, path, "tool", one.example) for one in classes]
        for index in _shown(classes, verdicts):
            verdict = verdicts[index]
            yield Cell(agent.title, "", classes[index].title, verdict, symbolic=True, caller=caller)
    else:
        for tool in listed:
            verdict = judge_inbound(world, agent, caller, path, "tool", tool)
            yield Cell(agent.title, "", tool, verdict, caller=caller)


def _shown(classes: tuple[NameClass, ...], verdicts: list[Verdict]) -> Iterator[int]:
    """Which patterns a reader would miss. How a name is refused does not matter as long as it is."""
    outcomes = [one if one.passes else State.HIDDEN for one in verdicts]
    for index in telling(classes, outcomes):
        if classes[index].well_formed or verdicts[index].passes:
            yield index


def callers(world: World) -> list[str]:
    """Whom to ask about: the agents themselves, and every identity that rules name."""
    found = {agent.spiffe_id for agent in world.agents}
    for policy in world.documents.policies:
        for rule in policy.inbound or ():
            found |= {one for one in rule.sources if one.startswith("spiffe://") and not set("*?") & set(one)}
    for access in world.documents.access_policies:
        found |= set(filter(None, (source_id(rule, world.trust_domain) for rule in access.rules)))
    return sorted(found)


def blocks(cells: list[Cell]) -> Iterator[Block]:
    """For people: a table for each agent."""
    if not cells:
        yield Line("There is no agent and no Backend to say anything about.", state="warning")
        return
    for agent, caller in dict.fromkeys((cell.agent, cell.caller) for cell in cells):
        mine = [cell for cell in cells if (cell.agent, cell.caller) == (agent, caller)]
        if caller:
            yield Heading(f"{agent}, called by {caller}")
            rows = [_row((cell.tool,), cell.verdict) for cell in mine]
            yield Table(("tool", "verdict", "by"), tuple(rows))
        else:
            yield Heading(agent)
            rows = [_row((cell.backend, cell.tool), cell.verdict) for cell in mine]
            yield Table(("backend", "tool", "verdict", "by"), tuple(rows))
    yield from _legend(cells)


def _row(first: tuple[str, ...], verdict: Verdict) -> Row:
    reason = "" if verdict.passes else f" ({verdict.reason})"
    below = tuple(f"needs {one}" for one in verdict.needs)
    return Row((*first, str(verdict.state), f"{verdict.rule}{reason}"), below)


_MEANINGS = {
    State.ARGUMENTS: "arguments: listed; a call passes as its arguments are",
    State.CONDITIONAL: "conditional: a call passes as its request is: HTTP fields, time, an expression",
    State.EXTERNAL: "external: listed; a call passes once an authorization service says yes",
    State.NO_USER: "no user: granted by policies, and refused without a user whose token is accepted (--user)",
    State.OBSERVED: "observed: passes, and is recorded as refused, since no policy enforces",
}


def _legend(cells: list[Cell]) -> Iterator[Block]:
    states = {cell.verdict.state for cell in cells}
    told = [text for state, text in _MEANINGS.items() if state in states]
    if any(cell.symbolic for cell in cells):
        told.append("Tools are patterns where no inventory is given (--tools, --live); the narrowest holds.")
    if told:
        yield Heading("Where")
        yield from (Line(text, 2) for text in told)


def as_json(cell: Cell) -> dict[str, Any]:
    """For programs."""
    verdict = cell.verdict
    return {
        "agent": cell.agent,
        **({"caller": cell.caller} if cell.caller else {"backend": cell.backend}),
        "tool": cell.tool,
        "pattern": cell.symbolic,
        "verdict": str(verdict.state),
        "allowed": verdict.passes,
        "reason": verdict.reason,
        "rule": verdict.rule,
        "needs": list(verdict.needs),
        "content": cell.treatment.as_json(),
    }
