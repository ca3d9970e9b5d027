"""`outrider guard scan`: what guardrails would find in a file, and what masking would make of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from cli.guard import asking, passages
from cli.guard.asking import NothingAsked
from cli.guard.passages import Mark, visible
from cli.guard.policy_file import NothingSaid, PolicyUnreadable
from cli.guard.sources import Given, InputUnreadable, read_source
from cli.manifests import ManifestInvalid
from cli.output import write
from cli.output.blocks import Block, Line, Row, Table
from mesh.policy import PolicyInvalid
from mesh.policy.guardrails import Guardrails
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.mask_message import mask_message
from sidecar.guardrails.masking import mask
from sidecar.guardrails.vault import Vault
from sidecar.guardrails.verdict import Finding, Leaf, Verdict

NOTHING, FOUND, BAD_INPUT = 0, 1, 2
Examined = tuple[Given, Verdict]


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    asking.configure(parser)
    parser.add_argument("--mask", action="store_true", help="show what is left after masking")
    parser.add_argument("--json", action="store_true", help="for programs, without the text")


def run(arguments: argparse.Namespace) -> int:
    """Scan; 0 when nothing is found, 1 when something is, 2 when something cannot be read or looked at."""
    try:
        found = asking.guardrails(arguments)
        source = read_source(arguments.file, arguments.part)
    except PolicyInvalid as invalid:
        for error in invalid.errors:
            print(f"outrider: {error}", file=sys.stderr)
        return BAD_INPUT
    except (InputUnreadable, NothingAsked, NothingSaid, PolicyUnreadable, ManifestInvalid) as error:
        print(f"outrider: {error}", file=sys.stderr)
        return BAD_INPUT
    for remark in (*source.remarks, *(f"not asked: {name}" for name in asking.not_asked(found))):
        print(f"outrider: {remark}", file=sys.stderr)
    if arguments.mask and arguments.policy is None:
        found = asking.masking(found)
    examined = examine(found, source.given)
    if arguments.json:
        value = as_json(examined)
        if arguments.mask:
            value["masked"] = [_masked(found, *one)[0] for one in examined]
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
    else:
        _show(found, examined, arguments.mask)
    return told_failures(examined) or (FOUND if any(verdict.findings for _, verdict in examined) else NOTHING)


def examine(found: Guardrails, given: Iterable[Given], engine: Engine | None = None) -> list[Examined]:
    """Ask the sidecar's engine about each."""
    engine = Engine(found) if engine is None else engine
    return [(one, engine.examine(one.roots, one.direction, one.tool, one.size)) for one in given]


def told_failures(examined: Iterable[Examined]) -> int:
    """Tell what could not be looked at; BAD_INPUT if there is such, else 0."""
    code = NOTHING
    for given, verdict in examined:
        for name, reason in verdict.failed:
            place = f"{given.name}: " if given.name else ""
            print(f"outrider: {place}{name} did not look at all of it: {reason.sentence}", file=sys.stderr)
            code = BAD_INPUT
    return code


def _show(found: Guardrails, examined: list[Examined], masked: bool) -> None:
    write.write(blocks(examined), None, "text")
    for given, verdict in examined:
        for leaf, marks in leaves(verdict.findings):
            sys.stdout.write("\n")
            passages.show(place(given, leaf), leaf.text, marks)
    if masked:
        for given, verdict in examined:
            value, stuck = _masked(found, given, verdict)
            shown = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
            sys.stdout.write("\n")
            passages.show(f"masked {given.name}".strip(), shown, (), len(shown))
            for where in dict.fromkeys(place(given, one.leaf) for one in stuck):
                print(f"outrider: {visible(where)} cannot be masked: a sidecar would block", file=sys.stderr)


def blocks(examined: Iterable[Examined]) -> Iterator[Block]:
    """The findings as a table."""
    rows = [
        Row((visible(place(given, one.leaf)), f"{one.start}-{one.end}", *what(one)))
        for given, verdict in examined
        for one in in_order(verdict.findings)
    ]
    if rows:
        yield Table(("where", "at", "detector", "kind", "score", "view"), tuple(rows))
    else:
        yield Line("Nothing found.", state="ok")


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """As they stand in each text; a verdict has them by processor."""
    findings = list(findings)
    texts = {one.leaf.where: index for index, one in reversed(list(enumerate(findings)))}
    return sorted(findings, key=lambda one: (texts[one.leaf.where], one.start))


def what(finding: Finding) -> tuple[str, str, str, str]:
    """Detector, kind, score and view."""
    return finding.processor.name, finding.kind, f"{finding.score:.2f}", finding.view


def place(given: Given, leaf: Leaf) -> str:
    """Where in the file a leaf stands."""
    where = f"{leaf.where} (key)" if leaf.form == "key" else leaf.where
    return f"{given.name}: {where}" if given.name else where


def leaves(findings: Iterable[Finding]) -> list[tuple[Leaf, list[Mark]]]:
    """Each text in which something was found, with what."""
    found: dict[tuple[str, str], tuple[Leaf, list[Mark]]] = {}
    for one in findings:
        entry = found.setdefault((one.leaf.where, one.leaf.form), (one.leaf, []))
        entry[1].append(Mark(one.start, one.end, one.processor.detector.value))
    return list(found.values())


def _masked(found: Guardrails, given: Given, verdict: Verdict) -> tuple[Any, tuple[Finding, ...]]:
    """What masking leaves, and what it could not change. The value is changed."""
    vault = Vault()
    if given.message:
        masked = mask_message(
            given.value, verdict, vault, direction=given.direction, reversible=found.reversible
        )
        return given.value, masked.unmaskable
    masked = mask(verdict.findings, vault, direction=given.direction, reversible=found.reversible)
    return given.value["text" if given.text else "$"], masked.unmaskable


def as_json(examined: Iterable[Examined]) -> dict[str, Any]:
    """For programs. Holds nothing of the text: a key in which something was found is not named in paths."""
    examined = list(examined)
    return {
        "findings": [
            _finding(given, one, hidden)
            for given, verdict in examined
            for hidden in [{one.leaf.text for one in verdict.findings if one.leaf.form == "key"}]
            for one in verdict.findings
        ],
        "failed": [
            {"in": given.name, "processor": name, "reason": str(reason)}
            for given, verdict in examined
            for name, reason in verdict.failed
        ],
        "verdicts": [
            {
                "in": given.name,
                "action": verdict.action.name.lower(),
                "reason": None if verdict.reason is None else str(verdict.reason),
            }
            for given, verdict in examined
        ],
    }


def _finding(given: Given, one: Finding, hidden: set[str]) -> dict[str, Any]:
    path = ["<found in>" if step in hidden else step for step in (*one.leaf.path, one.leaf.key)]
    return {
        "in": given.name,
        "path": path,
        "part": one.leaf.part.value,
        "form": one.leaf.form,
        "start": one.start,
        "end": one.end,
        "processor": one.processor.name,
        "detector": one.processor.detector.value,
        "kind": one.kind,
        "score": one.score,
        "view": one.view,
        "note": one.note,
    }
