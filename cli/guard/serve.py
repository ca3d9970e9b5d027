"""`outrider guard serve`: the detectors of the sidecar for others, over HTTP.

It speaks the FMS detectors API (an orchestrator asks it for spans) and agentgateway's guardrail webhook (a gateway
asks it what to do). Without a policy it finds everything and changes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from cli.guard.examiner import DEFAULT, Examiner, external
from mesh.policy import PolicyInvalid, yaml_tree
from mesh.policy.errors import ErrorLog
from mesh.policy.fields import Invalid, Place, Sheet
from mesh.policy.guardrail_schema import read_guardrails
from mesh.policy.guardrails import Guardrails

_UNUSABLE = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, metavar="PORT", help="0 for any (8080)")
    parser.add_argument(
        "--policy", metavar="FILE", help="what stands below `guardrails:` in a policy; else all, flagged"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; 0, or 2 when the policy or the address cannot be used."""
    try:
        guardrails = DEFAULT if arguments.policy is None else read_policy(arguments.policy)
    except (OSError, UnicodeDecodeError, PolicyInvalid) as error:
        print(f"outrider: {error}", file=sys.stderr)
        return _UNUSABLE
    try:
        asyncio.run(_serve(Examiner(guardrails), arguments.host, arguments.port))
    except (OSError, OverflowError) as error:
        print(f"outrider: cannot listen at {arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return _UNUSABLE
    return 0


def read_policy(file: str) -> Guardrails:
    """The guardrails of a file: the section itself, or below a key `guardrails`. Raises OSError,
    UnicodeDecodeError and PolicyInvalid."""
    log = ErrorLog(file)
    nodes = yaml_tree.read_documents(Path(file).read_text(encoding="utf-8"), log)
    found: Guardrails | Invalid | None = None
    if len(nodes) != 1:
        log.add(1, "", f"{len(nodes)} documents; write one, with what stands below `guardrails:` in a policy")
    else:
        found = read_guardrails(_section(nodes[0]), Place(Sheet(log), ""))
    if isinstance(found, Guardrails) and (asked := external(found)):
        log.add(1, "processors", f"{asked[0]} asks somebody else, which only a sidecar does; remove it")
    if log.errors or not isinstance(found, Guardrails):
        raise PolicyInvalid(tuple(log.listed()))
    return found


def _section(node: yaml_tree.Node) -> yaml_tree.Node:
    if isinstance(node, yaml_tree.Mapping) and [entry.key for entry in node.entries] == ["guardrails"]:
        return node.entries[0].value
    return node


async def _serve(examiner: Examiner, host: str, port: int) -> None:
    # Imported here: half of the memory of the command, which its other verbs need not pay.
    from cli.guard.detector_server import start

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner, url = await start(examiner, host, port)
    try:
        print(f"Detectors at {url}/api/v1/text/contents, webhook at {url}/request and /response.", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()
