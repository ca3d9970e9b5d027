"""Standard output: JSON where it is asked for, colour on a terminal, plain text anywhere else."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from typing import Any

from cli.output.blocks import Block
from cli.output.plain import render


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="text for people (default) or json"
    )


def write(blocks: Iterable[Block], value: Any, output: str) -> None:
    """Write one of both: `value` as JSON, or `blocks` as text."""
    if output == "json":
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    elif colourful():
        from rich.console import Console  # a tenth of a second, which pipes need not pay

        from cli.output.terminal import render as show

        show(blocks, Console(highlight=False, markup=False))
    else:
        sys.stdout.write(render(blocks))


def colourful() -> bool:
    """On a terminal, unless NO_COLOR (https://no-color.org) is set to anything, or TERM to dumb."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
