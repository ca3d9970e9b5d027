"""`outrider policy`: test, explain, compare, validate and import policies. Each is a module of its own."""

from __future__ import annotations

import argparse
import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from cli.main import CommandModule

_VERBS = (
    ("test", "cli.policy.testing", "who may call what, and is that as expected?"),
    ("explain", "cli.policy.explaining", "why may an agent call a tool, or not, and what would change that?"),
    ("diff", "cli.policy.differing", "what do other policies newly allow or refuse?"),
    ("validate", "cli.policy.validating", "everything that is wrong with policy files"),
    ("import", "cli.policy.importing", "write policies from the configuration of other programs"),
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
    """Do what the verb says; 0, 1 when something is refused, 2 for bad input."""
    return int(arguments.verb(arguments))
