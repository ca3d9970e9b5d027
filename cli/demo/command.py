"""`outrider demo`: plays the story and says whether every statement held."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cli.demo import acts, cluster, documents
from cli.demo.cast import WORKLOADS
from cli.demo.content_act import content_is_looked_at
from cli.demo.control import make_control
from cli.demo.findings import Finding
from cli.demo.processes import PartFailed, Parts
from cli.demo.screen import Screen
from cli.demo.stage import open_stage
from cli.demo.user_act import agent_holds_nothing

TOTAL_SECONDS = 90.0
HELD, NOT_HELD, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of `outrider demo`."""
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep policies, sidecar files and logs here")
    cluster.configure(parser)


def run(options: argparse.Namespace) -> int:
    """Play. 0 when every statement held, 1 when one did not or a part failed, 130 when it was stopped.

    2 when there can be no folder to keep things in.
    """
    if options.cluster:
        return cluster.run(options)
    screen = Screen()
    try:
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        screen.failure(f"--keep {options.keep}: {error.strerror}", "")
        return BAD_INPUT
    try:
        with _folder(options.keep) as folder:
            return asyncio.run(play(screen, folder, documents.policies(), kept=options.keep))
    except (KeyboardInterrupt, asyncio.CancelledError):
        screen.summary("Stopped; every process of the demo has ended.", good=False)
        return INTERRUPTED


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Where the demo's files go: the folder that is to be kept, or one that goes with the demo."""
    if keep is not None:
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="outrider-demo-") as folder:
        yield Path(folder)


async def play(screen: Screen, folder: Path, policies: Mapping[str, str], *, kept: Path | None = None) -> int:
    """Play the story with these policies (text by workload name) and their files in `folder`."""
    began = time.monotonic()
    _end_on_sigterm()
    screen.title(
        "Outrider demo: one agent, one MCP server, a sidecar beside each",
        "Real parts on this machine; every statement below is checked as it is made.",
    )
    try:
        async with asyncio.timeout(TOTAL_SECONDS):
            found = await _story(screen, folder, policies)
    except PartFailed as failed:
        screen.failure(str(failed), failed.output)
        return NOT_HELD
    except TimeoutError:
        screen.failure(f"The demo was not over after {TOTAL_SECONDS:g} seconds", "")
        return NOT_HELD
    return _sum_up(screen, found, time.monotonic() - began, kept)


def _end_on_sigterm() -> None:
    """SIGTERM ends the demo as Ctrl-C does, so that its processes are ended too."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)


async def _story(screen: Screen, folder: Path, policies: Mapping[str, str]) -> list[Finding]:
    # Socket paths have at most 104 bytes, so sockets get a short folder of their own.
    with tempfile.TemporaryDirectory(prefix="outrider-") as sockets:
        async with Parts(folder / "logs") as parts:
            make_control(folder, WORKLOADS)
            found = acts.pod_gets_a_sidecar(screen, folder)
            screen.heading("Starting")
            with screen.progress("starting the parts"):
                stage = await open_stage(parts, folder, Path(sockets), policies, screen.started)
            seen, sessions = await acts.agent_sees_less(screen, stage)
            found += seen
            found += await acts.agent_may_do_less(screen, stage, sessions)
            found += await acts.both_ends_know_each_other(screen, stage)
            found += await acts.policy_changes(screen, stage)
            found += await acts.identities_rotate(screen, stage)
            found += await acts.wrong_identities_fail(screen, stage)
            found += await acts.https_is_looked_into(screen, stage)
            found += await agent_holds_nothing(screen, stage.desk)
            found += await content_is_looked_at(screen, stage)
            found += await acts.elsewhere_is_closed(screen, stage)
            return found


def _sum_up(screen: Screen, found: list[Finding], seconds: float, kept: Path | None) -> int:
    broken = [finding for finding in found if not finding.holds]
    if broken:
        screen.summary(f"{len(broken)} of {len(found)} statements did not hold:", good=False)
        for finding in broken:
            screen.finding(finding)
    else:
        screen.summary(f"All {len(found)} statements held, in {seconds:.1f} seconds.", good=True)
    screen.next_steps(_next_steps(kept))
    return NOT_HELD if broken else HELD


def _next_steps(kept: Path | None) -> Iterator[tuple[str, str]]:
    if kept is None:
        yield (
            "outrider demo --keep DIR",
            "keep the policies, the sidecars' files and the logs, to read and to change",
        )
    else:
        yield f"{kept}/policies/triage.yaml", "the agent's policy"
        yield f"{kept}/sidecar-triage.yaml", "what its sidecar was started with"
        yield f"{kept}/logs", "what every process wrote"
    yield "outrider inject -f FILE", "add the sidecar to your own manifests"
    yield "docs/policy.md", "what a policy can say"
    yield "docs/guardrails.md", "what is looked for in content, and what can be done about it"
