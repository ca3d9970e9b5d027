"""`outrider check-inject`: why a pod has a sidecar, or has none."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.check_inject.explain import Explanation, explain
from cli.check_inject.question import Question
from cli.check_inject.sources import from_cluster, from_files, is_file
from cli.cluster import connect
from cli.cluster.connect import BAD_INPUT, Connection
from cli.inject import label_list
from cli.manifests import ManifestInvalid
from cli.output import write
from cli.output.blocks import Block, Heading, Line, Row, Table
from cli.selecting.entries import Asked
from webhook.admission.settings_file import SettingsInvalid

FINE, FINDING = 0, 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "subject", metavar="POD|FILE", help="NAME or KIND/NAME in the cluster, a manifest, or -"
    )
    parser.add_argument(
        "-n", "--namespace", metavar="NAME", help="its namespace (default: the context's, or default)"
    )
    parser.add_argument(
        "--namespace-labels",
        type=label_list,
        default={},
        metavar="KEY=VALUE,…",
        help="labels to assume on the namespace",
    )
    parser.add_argument(
        "--settings",
        type=Path,
        metavar="FILE",
        help="the platform's settings (default: the cluster's; for manifests built-in ones)",
    )
    write.configure(parser)
    connect.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Explain; 0, 1 when something is refused or does not fit together, 2 when nothing can be read."""
    try:
        if is_file(arguments.subject):
            return _tell(from_files(arguments), arguments.output)
        return connect.asking(arguments, lambda connection: _ask(connection, arguments))
    except (ManifestInvalid, SettingsInvalid) as error:
        print(error, file=sys.stderr)
        return BAD_INPUT


def _ask(connection: Connection, arguments: argparse.Namespace) -> int:
    space = arguments.namespace or connection.namespace
    return _tell(from_cluster(connection.api, connection.api.server, arguments, space), arguments.output)


def _tell(questions: list[Question], output: str) -> int:
    explanations = [explain(question) for question in questions]
    if not explanations:
        print("outrider: there is no pod and no workload in it", file=sys.stderr)
        return BAD_INPUT
    found = [block for one in explanations for block in blocks(one)]
    write.write(found, [as_json(one) for one in explanations], output)
    return FINE if all(one.fine for one in explanations) else FINDING


def blocks(explanation: Explanation) -> Iterator[Block]:
    """The answer for people."""
    yield Heading(explanation.name)
    if explanation.asked is None:
        yield Line("The webhook configurations are not known here: only the decision is told.", 2)
    elif explanation.asked:
        yield Table(("webhook entry", "asked", "why"), tuple(map(_row, explanation.asked)))
    else:
        yield Line("No webhook is asked about pods.", 2)
    doubled = f"{explanation.verdict}: "
    told = [Row((explanation.verdict, one.removeprefix(doubled))) for one in explanation.sentences]
    yield Table(("", ""), (*told, *(Row(("warning", warning)) for warning in explanation.warnings)))
    for fact in explanation.facts:
        yield Line(fact, 2)
    for problem in explanation.problems:
        yield Line(problem, 2, "failed")


def as_json(explanation: Explanation) -> dict[str, Any]:
    """The answer for programs."""
    asked = explanation.asked
    return {
        "subject": explanation.name,
        "fine": explanation.fine,
        "entries": None
        if asked is None
        else [
            {
                "configuration": one.entry.configuration,
                "name": one.entry.name,
                "asked": one.matches,
                "whyNot": one.why_not or None,
                "unsure": one.unsure or None,
            }
            for one in asked
        ],
        "verdict": explanation.verdict,
        "reason": explanation.reason,
        "sentences": list(explanation.sentences),
        "warnings": list(explanation.warnings),
        "live": list(explanation.facts),
        "problems": list(explanation.problems),
    }


def _row(asked: Asked) -> Row:
    if not asked.matches:
        return Row((asked.entry.name, "no", asked.why_not))
    return Row(
        (asked.entry.name, "unsure" if asked.unsure else "yes", asked.unsure or "every selector matches")
    )
