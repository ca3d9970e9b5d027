"""`outrider guard`: look at a file, measure the detectors, explain a finding, or serve them to others."""

from __future__ import annotations

import argparse
import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cli.main import CommandModule

_VERBS = (
    ("scan", "cli.guard.scan", "what would guardrails find in a text or a message?"),
    ("explain", "cli.guard.explain", "which reading, which rule and which words made a finding?"),
    ("eval", "cli.guard.evaluate", "how well do the detectors do on labelled data?"),
    ("serve", "cli.guard.serve", "offer the detectors to others over HTTP"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    for name, path, summary in _VERBS:
        module = cast("CommandModule", importlib.import_module(path))
        verb = verbs.add_parser(name, help=summary, description=summary)
        module.configure(verb)
        verb.set_defaults(verb=module.run)


def run(arguments: argparse.Namespace) -> int:
    """Do what the verb says."""
    return int(arguments.verb(arguments))
