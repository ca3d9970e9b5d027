"""`outrider policy diff`: what other policies newly allow, and what they newly refuse."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.output import write
from cli.output.blocks import Block, Heading, Line, Row, Table
from cli.policy import agents
from cli.policy.agents import Agent, chosen
from cli.policy.changes import Change, Effect, changes
from cli.policy.inventory import read_tools
from cli.policy.judging import Verdict
from cli.policy.loading import FINE, REFUSED, agents_in, configure_settings, documents_of, guarded, laid_out
from cli.policy.reading import Read, read
from mesh.policy import Documents

_STRICTNESS = {Effect.WIDER: "less strict", Effect.NARROWER: "stricter", Effect.CHANGED: "other conditions"}
_WORDS = {Effect.WIDER: "newly allowed", Effect.NARROWER: "newly refused", Effect.CHANGED: "other conditions"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("old", metavar="OLD", help="policies as they are: a file, a folder, or -")
    parser.add_argument("new", metavar="NEW", help="policies as they shall be")
    parser.add_argument(
        "--manifests", action="append", default=[], metavar="FILE", help="workloads to compare for, besides"
    )
    parser.add_argument("--tools", type=Path, metavar="FILE", help="compare these tools, as in `test`")
    parser.add_argument(
        "--fail-on-widening", action="store_true", help="exit with 1 where something is newly allowed"
    )
    agents.configure(parser)
    configure_settings(parser)
    write.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare; 0, 1 where something widens and that was to fail, 2 when the input is wrong."""
    return guarded(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    (old_read, old), (new_read, new) = (documents_of([path]) for path in (arguments.old, arguments.new))
    beside = _of_manifests(arguments) if arguments.manifests else {}
    old_agents, new_agents = ({**_titled(read, arguments), **beside} for read in (old_read, new_read))
    both = Documents(
        (*old.backends, *new.backends),
        (*old.policies, *new.policies),
        access_policies=(*old.access_policies, *new.access_policies),
    )
    compared = chosen(list({**old_agents, **new_agents}.values()), both, arguments)
    tools = read_tools(arguments.tools) if arguments.tools else {}
    before = laid_out(old_read, old, *_sides(old_agents, compared, arguments), arguments)
    after = laid_out(new_read, new, *_sides(new_agents, compared, arguments), arguments)
    differences = changes(before, after, tools)
    write.write(blocks(differences), [as_json(one) for one in differences], arguments.output)
    wider = any(one.widens for one in differences)
    return REFUSED if wider and arguments.fail_on_widening else FINE


def _titled(found: Read, arguments: argparse.Namespace) -> dict[str, Agent]:
    return {one.title: one for one in agents_in(found, arguments)}


def _of_manifests(arguments: argparse.Namespace) -> dict[str, Agent]:
    return _titled(read(arguments.manifests), arguments)


def _sides(
    known: dict[str, Agent], compared: list[Agent], arguments: argparse.Namespace
) -> tuple[list[Agent], list[Agent]]:
    """The workloads of one side, and the compared agents as they are there, unless options say what they are."""
    told = arguments.labels is not None or arguments.service_account is not None
    return list(known.values()), compared if told else [known.get(one.title, one) for one in compared]


def blocks(differences: list[Change]) -> Iterator[Block]:
    """For people: a table for each agent, what widens first."""
    if not differences:
        yield Line("No agent may do anything else than before.", state="ok")
        return
    for agent in dict.fromkeys(one.agent for one in differences):
        yield Heading(agent)
        mine = sorted(
            (one for one in differences if one.agent == agent), key=lambda one: (not one.widens, one.target)
        )
        yield Table(("", "what", "change", "by"), tuple(_row(one) for one in mine))
    wider = sum(one.widens for one in differences)
    if wider:
        marks = " or ".join(dict.fromkeys(sorted(_mark(one) for one in differences if one.widens)))
        yield Heading(f"{wider} of {len(differences)} changes widen (marked {marks})")
    else:
        yield Heading(f"{len(differences)} changes, none of which widens")


def _mark(one: Change) -> str:
    return "+" if one.effect is Effect.WIDER else "-" if one.effect is Effect.NARROWER else "±"


def _row(one: Change) -> Row:
    what = (
        f"{one.target} {one.name}"
        if one.kind in ("tool", "backend")
        else f"{one.target} {one.kind} {one.name}"
    )
    passes = one.before.passes and one.after.passes
    words = _STRICTNESS if one.ordered and passes else _WORDS
    word = words[one.effect] if one.effect else ""
    below = [f"needs {needed}" for needed in one.after.needs]
    before = "; ".join((_by(one.before), *(f"needs {needed}" for needed in one.before.needs)))
    return Row((_mark(one), what, word, _by(one.after)), (*below, f"before: {one.before.state} by {before}"))


def _by(verdict: Verdict) -> str:
    reason = f" ({verdict.reason})" if verdict.reason and not verdict.passes else ""
    return f"{verdict.rule}{reason}"


def as_json(one: Change) -> dict[str, Any]:
    """For programs."""
    return {
        "agent": one.agent,
        "target": one.target,
        "kind": one.kind,
        "name": one.name,
        "pattern": one.pattern,
        "effect": str(one.effect),
        "widens": one.widens,
        "before": _verdict(one.before),
        "after": _verdict(one.after),
    }


def _verdict(one: Verdict) -> dict[str, Any]:
    return {
        "verdict": str(one.state),
        "allowed": one.passes,
        "reason": one.reason,
        "rule": one.rule,
        "needs": list(one.needs),
    }
