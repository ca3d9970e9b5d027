"""`outrider check`: is the cluster ready for Outrider, is Outrider well, and are the agents of a namespace?"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from cli.check.catalogue import RUNS, checks
from cli.check.installed import not_installed
from cli.check.objects import counted
from cli.check.read import read_cluster
from cli.check.result import Result, State, skipped
from cli.check.snapshot import Snapshot
from cli.check.table import Check, Phase
from cli.cluster import connect
from cli.cluster.connect import Connection
from cli.cluster.failures import ClusterUnavailable
from cli.output import write
from cli.output.blocks import Block, Heading, Line, Row, Table

FINE, FAILED = 0, 1
INSTALLED = "control-plane-installed"
_ABSENT = skipped("Outrider is not installed")
_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A check, and what came of it."""

    check: Check
    result: Result
    namespace: str = ""

    @property
    def hint(self) -> str:
        """What to do, with the namespace's name where the table has `NAMESPACE`."""
        said = self.result.hint or self.check.hint
        return said.replace("NAMESPACE", self.namespace) if self.namespace else said


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--pre", action="store_true", help="check whether Outrider can be installed")
    parser.add_argument("-n", "--namespace", metavar="NAME", help="check the agents of this namespace, too")
    parser.add_argument(
        "--install-namespace",
        metavar="NAME",
        help="where Outrider is installed (default: where its webhooks lead)",
    )
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="check again until nothing fails, so long at most",
    )
    write.configure(parser)
    connect.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Check; 0, 1 when a check failed, 2 when the cluster cannot be asked."""
    return connect.asking(arguments, lambda connection: check(connection, arguments))


def check(
    connection: Connection,
    arguments: argparse.Namespace,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Look until nothing fails or the time is over, then say what was found last.

    Raises:
        ClusterUnavailable: the cluster could still not be asked when the time was over.
    """
    until = clock() + arguments.wait
    while True:
        over = clock() + _POLL_SECONDS > until
        try:
            found = _look(connection, arguments)
        except ClusterUnavailable:
            if over:
                raise
        else:
            if over or not _failures(found):
                break
        sleep(_POLL_SECONDS)
    write.write(blocks(found), as_json(found), arguments.output)
    return FAILED if _failures(found) else FINE


def _look(connection: Connection, arguments: argparse.Namespace) -> list[Finding]:
    snapshot = read_cluster(
        connection.api, arguments.install_namespace, arguments.namespace, before=arguments.pre
    )
    data = snapshot.data
    if data and not snapshot.namespaces.unread and snapshot.namespace_object(data.namespace) is None:
        raise ClusterUnavailable(
            f"There is no namespace {data.namespace}.", "Look at -n, and at `kubectl get namespaces`."
        )
    chosen = checks(before=arguments.pre, namespace=arguments.namespace is not None)
    return judge(snapshot, chosen, datetime.now(UTC))


def judge(snapshot: Snapshot, chosen: tuple[Check, ...], now: datetime) -> list[Finding]:
    """Run checks on a snapshot. Of what is not installed only that is told."""
    space = snapshot.data.namespace if snapshot.data else ""
    return [Finding(one, _judged(one, snapshot, now), space) for one in chosen]


def _judged(check: Check, snapshot: Snapshot, now: datetime) -> Result:
    if check.phase is Phase.AFTER and check.id != INSTALLED and not_installed(snapshot):
        return _ABSENT
    return RUNS[check.id](snapshot, now)


def blocks(found: list[Finding]) -> Iterator[Block]:
    """The report for people: by category, hints where something is not well, and a summary."""
    for category, group in groupby(found, key=lambda finding: finding.check.category):
        yield Heading(category)
        members = list(group)
        rows = [_row(finding) for finding in members if finding.result is not _ABSENT]
        absent = len(members) - len(rows)
        if absent:
            count = counted(absent, "check", "checks")
            rows.append(Row((State.SKIPPED, f"{count}: {_ABSENT.seen[0]}")))
        yield Table(("", ""), tuple(rows))
    counts = Counter(finding.result.state for finding in found)
    yield Heading(", ".join(f"{counts[state]} {state}" for state in State if counts[state]))
    if counts[State.FAILED]:
        failed = ", ".join(one.check.id for one in found if one.result.state is State.FAILED)
        yield Line(f"What failed stands above, each with its next step: {failed}.", state="failed")


def as_json(found: list[Finding]) -> dict[str, Any]:
    """The report for programs."""
    counts = Counter(finding.result.state for finding in found)
    return {
        "fine": not _failures(found),
        "summary": {str(state): counts[state] for state in State},
        "checks": [
            {
                "id": finding.check.id,
                "category": finding.check.category,
                "title": finding.check.title,
                "state": str(finding.result.state),
                "seen": list(finding.result.seen),
                **({"hint": finding.hint, "docs": finding.check.docs} if _needs_hint(finding) else {}),
            }
            for finding in found
        ],
    }


def _row(finding: Finding) -> Row:
    seen = finding.result.seen
    hint = (f"hint: {finding.hint}", finding.check.docs) if _needs_hint(finding) else ()
    first, *more = seen
    # Scripts, pages and colleagues know a check by its id.
    known = "" if finding.result.state is State.OK else f"[{finding.check.id}] "
    return Row((finding.result.state, f"{known}{finding.check.title}: {first}"), (*more, *hint))


def _needs_hint(finding: Finding) -> bool:
    return finding.result.state in (State.FAILED, State.WARNING)


def _failures(found: list[Finding]) -> bool:
    return any(finding.result.state is State.FAILED for finding in found)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
