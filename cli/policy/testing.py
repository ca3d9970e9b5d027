"""`outrider policy test`: who may call what, and whether that is as expected."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.cluster import connect
from cli.cluster.connect import BAD_INPUT
from cli.output import write
from cli.output.blocks import Block, Heading, Line, Row, Table
from cli.policy import agents, on_behalf
from cli.policy.expectations import Outcome, check, read_expectations
from cli.policy.inventory import Tools, read_tools
from cli.policy.live_tools import ServerFailed, list_tools
from cli.policy.loading import FINE, REFUSED, Misused, configure_settings, guarded, with_cluster, world_of
from cli.policy.matrix import Cell, as_json, blocks, callers, inbound, outbound
from cli.policy.reading import warn
from cli.policy.world import World
from mesh.policy import Backend, BackendProtocol, TlsMode

_OWN = "backends"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="policies and manifests; folders; - for stdin"
    )
    parser.add_argument(
        "--live-cluster", action="store_true", help="take what is in the cluster, files laid over it"
    )
    parser.add_argument(
        "--tools",
        type=Path,
        metavar="FILE",
        help="the tools there are: {BACKEND: [TOOL]} or a tools/list result",
    )
    parser.add_argument(
        "--live",
        action="append",
        default=[],
        metavar="[BACKEND=]URL",
        help="ask a running server for its tools; `backends` asks each Backend where it says it is",
    )
    parser.add_argument(
        "--live-header", action="append", default=[], metavar="NAME=VALUE", help="to send to live servers"
    )
    parser.add_argument(
        "--expect", type=Path, metavar="FILE", help="what shall be; exit code 1 where it is not"
    )
    parser.add_argument(
        "--inbound", action="store_true", help="who may call the agents, in place of what they may"
    )
    parser.add_argument(
        "--from", dest="callers", action="append", default=[], metavar="SPIFFE-ID", help="only these callers"
    )
    on_behalf.configure(parser)
    agents.configure(parser)
    configure_settings(parser)
    write.configure(parser)
    connect.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Test; 0, 1 when an expectation fails, 2 when the input is wrong or not in force as it is written."""
    if arguments.live_cluster:
        return guarded(
            lambda: with_cluster(arguments, lambda world: _run(_shown(world, arguments), arguments))
        )
    return guarded(lambda: _run(world_of(arguments.files, arguments), arguments))


def _shown(world: World, arguments: argparse.Namespace) -> World:
    """Of a cluster, unless agents are named: one pod with a sidecar of each workload, which has one template."""
    if arguments.agent:
        return world
    meshed = [one for one in world.agents if one.meshed is not False]
    first = {(one.namespace, one.made_by or one.name): one for one in reversed(meshed)}
    return replace(world, agents=list(reversed(first.values())))


def _run(world: World, arguments: argparse.Namespace) -> int:
    if arguments.expect is not None:
        outcomes = check(world, read_expectations(arguments.expect))
        write.write(_told(outcomes), [_outcome_json(one) for one in outcomes], arguments.output)
        return _code(world, REFUSED if any(one.failure for one in outcomes) else FINE)
    world = replace(world, user=on_behalf.user_of(arguments))
    tools = _tools(world, arguments)
    cells = _cells(world, tools, arguments)
    write.write(blocks(cells), [as_json(cell) for cell in cells], arguments.output)
    return _code(world, FINE)


def _code(world: World, otherwise: int) -> int:
    """What a control plane would not accept is a mistake in the files, whatever the rest of them comes to."""
    return BAD_INPUT if world.unaccepted else otherwise


def _cells(world: World, tools: Tools, arguments: argparse.Namespace) -> list[Cell]:
    if arguments.inbound or arguments.callers:
        return list(inbound(world, tools, arguments.callers or callers(world)))
    return list(outbound(world, tools))


def _tools(world: World, arguments: argparse.Namespace) -> Tools:
    tools: Tools = read_tools(arguments.tools) if arguments.tools else {}
    headers = dict(pair_of(text, "--live-header NAME=VALUE") for text in arguments.live_header)
    for where in arguments.live:
        if where == _OWN:
            tools |= _of_backends(world, headers)
        else:
            name, equals, url = where.partition("=")
            named = equals and "://" not in name
            tools |= {name if named else "": list_tools(url if named else where, headers)}
    return tools


def pair_of(text: str, option: str) -> tuple[str, str]:
    """`NAME=VALUE` of an option. Raises Misused."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Misused(f"{text!r} is not {option}")
    return name, value


def _of_backends(world: World, headers: dict[str, str]) -> Tools:
    """Ask every MCP Backend at its own address; those that cannot be asked are told, and shown by patterns."""
    tools: Tools = {}
    for backend in world.documents.backends:
        if backend.protocol is BackendProtocol.MCP and backend.name not in tools:
            try:
                tools[backend.name] = list_tools(_url(backend), headers)
            except ServerFailed as error:
                warn(f"Backend {backend.name}: {error}")
    return tools


def _url(backend: Backend) -> str:
    if backend.tls.mode is TlsMode.MESH:
        raise ServerFailed(
            "only the mesh can ask it (tls.mode Mesh); name a URL: --live BACKEND=http://127.0.0.1:8080/mcp"
        )
    scheme = "https" if backend.tls.mode is TlsMode.PUBLIC else "http"
    host = f"[{backend.host}]" if ":" in backend.host else backend.host
    return f"{scheme}://{host}:{backend.port}{backend.path}"


def _told(outcomes: list[Outcome]) -> Iterator[Block]:
    rows = []
    for one in outcomes:
        state = "failed" if one.failure else "ok"
        wanted = "allowed" if one.expectation.allowed else "refused"
        below = (f"but {one.failure}",) if one.failure else ()
        rows.append(Row((state, f"{one.expectation.question.sentence}: {wanted}"), below))
    yield Table(("", "expected"), tuple(rows))
    failed = sum(1 for one in outcomes if one.failure)
    yield Heading(f"{len(outcomes) - failed} of {len(outcomes)} expectations hold")
    if failed:
        yield Line("`outrider policy explain AGENT BACKEND TOOL FILES…` shows every rule that voted.", 2)


def _outcome_json(one: Outcome) -> dict[str, Any]:
    question = one.expectation.question
    return {
        "agent": question.agent,
        "backend": question.backend or None,
        "from": question.caller or None,
        "user": None if question.user is None else str(question.user),
        question.kind: question.name,
        "expected": one.expectation.allowed,
        "ok": not one.failure,
        "failure": one.failure or None,
        "reason": one.reason or None,
        "rule": one.rule or None,
    }
