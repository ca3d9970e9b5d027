"""`outrider completion`: a script that completes commands and options in bash, zsh or fish."""

from __future__ import annotations

import argparse
import sys

from cli.completion import bash, fish, zsh
from cli.completion.words import subcommands

_SHELLS = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the argument."""
    parser.add_argument("shell", choices=tuple(_SHELLS), help="source <(outrider completion bash)")


def run(arguments: argparse.Namespace) -> int:
    """Print it; 0."""
    from cli.main import COMMANDS, build_parser  # this module is one of those that it imports

    parser = build_parser({command.name for command in COMMANDS})
    sys.stdout.write(_SHELLS[arguments.shell](subcommands(parser)))
    return 0
