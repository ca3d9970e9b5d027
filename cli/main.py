"""`outrider`: one program, one subcommand per task.

A subcommand is a module with `configure(parser)` and `run(arguments) -> exit code`, registered by one line in
`COMMANDS`. Only the module of the command that runs is imported, so that `outrider inject` need not pay for what
a demo imports.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Container
from dataclasses import dataclass
from typing import Protocol, cast

from mesh.settings.table import VERSION


class CommandModule(Protocol):
    """What the module of a subcommand offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's own options."""
        ...

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; the exit code is 0 for success, 1 for a refusal, 2 for bad input."""
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: its name, the module that does it, and what `outrider --help` says."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Command(
        "demo",
        "cli.demo.command",
        "the whole idea, on this machine and checked",
    ),
    Command("check", "cli.check.command", "is the cluster ready, Outrider well, and every agent covered?"),
    Command("check-inject", "cli.check_inject.command", "why does a pod have a sidecar, or none?"),
    Command("analyze", "cli.analyze.command", "what is wrong with manifests, or with a cluster?"),
    Command("describe", "cli.describe.command", "one pod: identity, settings, policies, last denials"),
    Command("policy", "cli.policy.command", "what policies mean: test, explain, diff, validate, import"),
    Command("guard", "cli.guard.command", "what guardrails find and why, how well they do; serve them"),
    Command("pin", "cli.pins.command", "digests of a server's tools, and what differs from approved ones"),
    Command("inject", "cli.inject", "add the sidecar to the pods in manifests"),
    Command("uninject", "cli.uninject", "take the sidecar out of the pods in manifests"),
    Command("completion", "cli.completion.command", "print a script that completes commands in a shell"),
    Command(
        "networkpolicy", "cli.networkpolicy", "print a NetworkPolicy that leaves only the mesh's ports open"
    ),
)


def build_parser(configured: Container[str | None]) -> argparse.ArgumentParser:
    """The parser with every subcommand, of which those in `configured` have their options: their modules are
    imported."""
    parser = argparse.ArgumentParser(prog="outrider", description="A sidecar mesh for AI agents.")
    parser.add_argument("--version", action="version", version=f"outrider {VERSION}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.summary, description=command.summary)
        if command.name in configured:
            module = cast("CommandModule", importlib.import_module(command.module))
            module.configure(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the subcommand that `arguments` (by default those of the process) name; returns its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    asked = next((argument for argument in given if not argument.startswith("-")), None)
    parser = build_parser({asked})
    parsed = parser.parse_args(given)
    try:
        code = int(parsed.run(parsed))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough. What is still buffered must not be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
