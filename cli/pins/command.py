"""`outrider pin`: what to write into `spec.pin` of a Backend, and whether a server still offers it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from cli.kubernetes_yaml import dump
from cli.output import write
from cli.output.blocks import Block, Line, Row, Table
from cli.pins.differences import Finding, differences
from cli.pins.sources import Offer, approved, offered
from cli.policy.loading import FINE, REFUSED, Misused, guarded
from cli.policy.reading import warn
from cli.policy.testing import pair_of
from mesh.pins.compare import escaped
from mesh.pins.lookalike import Names
from mesh.policy.pin_schema import MAX_NAME, MAX_TOOLS


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "source",
        metavar="URL|FILE",
        help="a running server, a saved tools/list result as JSON, or - for stdin",
    )
    parser.add_argument(
        "--against",
        metavar="FILE|URL",
        help="say what differs from a saved list, another server, or a Backend in YAML; exit code 1 if anything",
    )
    parser.add_argument("--backend", metavar="NAME", help="which Backend of --against, if it has several")
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME=VALUE", help="to send to running servers"
    )
    write.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print; 0, 1 when something differs or cannot be pinned, 2 when nothing can be read."""
    return guarded(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    headers = dict(pair_of(text, "--header NAME=VALUE") for text in arguments.header)
    if arguments.source == arguments.against == "-":
        raise Misused("only one of both can come from standard input")
    now = offered(arguments.source, headers)
    doubtful = _doubts(now)
    if arguments.against is None:
        _print(now, arguments.output)
        if not now.tools:
            warn(f"{escaped(now.source)} offers no tools; approved like this, every tool would be hidden")
        return REFUSED if doubtful or not now.tools else FINE
    found = differences(now, approved(arguments.against, arguments.backend, headers))
    write.write(_blocks(now, found), _as_json(now, found), arguments.output)
    return REFUSED if found or doubtful else FINE


def _doubts(offer: Offer) -> bool:
    """Warn of what nobody should approve."""
    names = Names(offer.tools)
    disguised = {name: names.disguised(name) for name in offer.tools}
    for name, other in disguised.items():
        if other is not None:
            warn(f'tool "{escaped(name)}" is like "{escaped(other[0])}", but for {other[1]}')
    for name in offer.twice:
        warn(f'two tools are called "{escaped(name)}"; a sidecar hides both')
    return bool(offer.twice) or any(disguised.values())


def _print(offer: Offer, output: str) -> None:
    if output == "json":
        write.write([], _as_json(offer, []), output)
        return
    count = len(offer.tools)
    sys.stdout.write(f"# {count} tool{'s' if count != 1 else ''} of {escaped(offer.source)}\n")
    pin: dict[str, Any] = {"mode": "Approved", "digest": offer.digest}
    if 0 < count <= MAX_TOOLS and all(len(name) <= MAX_NAME for name in offer.tools):
        pin["tools"] = dict(sorted(offer.tools.items()))
    sys.stdout.write(dump({"spec": {"pin": pin}}))


def _blocks(now: Offer, found: list[Finding]) -> list[Block]:
    if not found:
        return [Line(f"nothing differs: {len(now.tools)} tools, {now.digest}")]
    rows = tuple(Row((one.kind, escaped(one.tool), one.what)) for one in found)
    return [Table(("", "tool", "what"), rows)]


def _as_json(now: Offer, found: list[Finding]) -> dict[str, Any]:
    return {
        "source": now.source,
        "digest": now.digest,
        "tools": now.tools,
        "differences": [one._asdict() for one in found],
    }
