"""`outrider guard eval`: precision, recall, false positives and cost of the detectors, on labelled data."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from cli.guard import figures, model_scores, plot
from cli.guard.measures import DETECTORS, FILES
from cli.guard.results import Result, evaluate
from cli.guard.rows import DataUnreadable, read_data
from cli.output import write
from cli.output.blocks import Block
from cli.output.plain import render

FINE, MISSED, BAD_INPUT = 0, 1, 2
_WIDTH: Final = 160
_STYLES: Final = (
    (r"(?m)^  DETECTOR .*$|^\S.*$", "bold"),
    (r"(?m)^    .* of others: .*$", "bright_black"),
    (r"\bok +met: [\d.]+", "green"),
    (r"\bfailed +missed by .*|\bmissed: .*|\bskipped: .*", "bold red"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("data", type=Path, metavar="DATA", help="a folder of labelled .jsonl files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON there, too")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw recall and false positives there (SVG)"
    )
    parser.add_argument(
        "--only", type=_detectors, default=frozenset(DETECTORS), metavar="NAME,…", help=", ".join(DETECTORS)
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a target is missed")


def run(arguments: argparse.Namespace) -> int:
    """Evaluate; 0, 1 for missed targets if that is asked for, 2 when nothing can be measured or written."""
    try:
        data = read_data(arguments.data, FILES)
    except DataUnreadable as error:
        print(f"outrider: {error}", file=sys.stderr)
        return BAD_INPUT
    results = list(evaluate(data, arguments.only))
    model = model_scores.blocks() if "injection" in arguments.only else ()
    _show(figures.blocks(results, skipped=data.complaints, model=model))
    try:
        if arguments.json is not None:
            value = figures.as_json(results, skipped=data.complaints, model=model_scores.scores())
            arguments.json.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
        if arguments.plot is not None:
            arguments.plot.write_text(plot.drawn(results), encoding="utf-8")
    except OSError as error:
        print(f"outrider: {error.filename}: cannot be written: {error.strerror}", file=sys.stderr)
        return BAD_INPUT
    return MISSED if arguments.strict and _missed(results) else FINE


def _missed(results: Iterable[Result]) -> bool:
    return any(not one.met for result in results for one in result.judged)


def _show(shown: Iterable[Block]) -> None:
    """Wider than other commands, on terminals too: a table of figures is read across."""
    text = render(shown, _WIDTH)
    if write.colourful():
        from rich.console import Console
        from rich.text import Text

        painted = Text(text)
        for pattern, style in _STYLES:
            painted.highlight_regex(pattern, style)
        Console(highlight=False, markup=False).print(painted, soft_wrap=True, end="")
    else:
        sys.stdout.write(text)


def _detectors(text: str) -> frozenset[str]:
    names = frozenset(text.split(","))
    if unknown := names - set(DETECTORS):
        raise argparse.ArgumentTypeError(
            f"no such detector: {', '.join(sorted(unknown))}; there are {', '.join(DETECTORS)}"
        )
    return names
