"""`outrider guard serve`: the detectors of the sidecar for others, over HTTP.

It speaks the FMS detectors API (an orchestrator asks it for spans) and agentgateway's guardrail webhook (a gateway
asks it what to do). Without a policy it finds everything and changes nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from cli.guard.examiner import DEFAULT, Examiner, external
from cli.guard.policy_file import NothingSaid, PolicyUnreadable, read_policy
from cli.manifests import ManifestInvalid
from mesh.policy import PolicyError, PolicyInvalid
from mesh.policy.guardrails import Guardrails

_UNUSABLE = 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, metavar="PORT", help="0 for any (8080)")
    parser.add_argument(
        "--policy", metavar="FILE", help="policies, or a section guardrails by itself; else all, flagged"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; 0, or 2 when the policy or the address cannot be used."""
    try:
        guardrails = DEFAULT if arguments.policy is None else served(arguments.policy)
    except (PolicyUnreadable, NothingSaid, ManifestInvalid, PolicyInvalid) as error:
        print(f"outrider: {error}", file=sys.stderr)
        return _UNUSABLE
    try:
        asyncio.run(_serve(Examiner(guardrails), arguments.host, arguments.port))
    except (OSError, OverflowError) as error:
        print(f"outrider: cannot listen at {arguments.host}:{arguments.port}: {error}", file=sys.stderr)
        return _UNUSABLE
    return 0


def served(file: str) -> Guardrails:
    """The guardrails of a file, if this server can carry them out. Raises as `read_policy` does."""
    found = read_policy(file)
    if asked := external(found):
        message = f"{asked[0]} asks somebody else, which only a sidecar does; remove it"
        raise PolicyInvalid((PolicyError(file, 0, "processors", message),))
    return found


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
