"""Runs the MCP conformance suite and reads what it found as something that two runs can be compared by.

The suite writes one folder per scenario with `checks.json`. A run is the multiset of (scenario, check id, status):
times, ports and ids differ between two runs, these do not.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.environments import NodeParts
from e2e.processes import ROOT, environment

LEGACY = "2025-11-25"
MODERN = "2026-07-28"
SUITE_SECONDS = 300
Check = tuple[str, str, str]
STAMP = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z$")
# The suite records each message that it exchanges as a check with this status; how many there are depends on
# timing (how often a client polled), so they are no finding.
NARRATION = "INFO"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of a suite."""

    checks: Counter[Check]
    output: str

    def counted(self, status: str) -> int:
        return sum(number for check, number in self.checks.items() if check[2] == status)

    @property
    def failures(self) -> list[Check]:
        return sorted(check for check in self.checks if check[2] == "FAILURE")

    @property
    def summary(self) -> str:
        statuses = sorted({check[2] for check in self.checks})
        return ", ".join(f"{self.counted(status)} {status.lower()}" for status in statuses)


def server_suite(
    parts: NodeParts, url: str, revision: str, folder: Path, *, proxy: str | None = None
) -> Outcome:
    """The suite as the client of the server at `url`, optionally with an HTTP proxy in between."""
    through = {"NODE_USE_ENV_PROXY": "1", "HTTP_PROXY": proxy} if proxy else {}
    return _run(parts, ["server", "--url", url, "--suite", "all"], revision, folder, environment(**through))


def client_suite(
    parts: NodeParts, command: str, revision: str, folder: Path, *, env: Mapping[str, str] | None = None
) -> Outcome:
    """The suite as the server of a client that `command` starts; the suite appends its URL.

    The suite starts a client per scenario, all at once, and some scenarios measure time: a scenario that fails
    in that crowd is run once more by itself, and that counts.
    """
    arguments = ["client", "--command", command, "--timeout", "120000"]
    env = environment(**(env or {}))
    crowd = _run(parts, [*arguments, "--suite", "all"], revision, folder / "all", env)
    checks, output = crowd.checks, crowd.output
    for scenario in sorted({check[0] for check in crowd.failures}):
        alone = _run(parts, [*arguments, "--scenario", scenario], revision, folder / "alone" / scenario, env)
        others = Counter({check: number for check, number in checks.items() if check[0] != scenario})
        checks, output = others + alone.checks, output + alone.output
    return Outcome(checks, output)


def client_scenario(parts: NodeParts, command: str, scenario: str, revision: str, folder: Path) -> Outcome:
    """One scenario, also one of an extension, which is on no revision's list."""
    arguments = ["client", "--command", command, "--timeout", "120000", "--scenario", scenario, "--force"]
    return _run(parts, arguments, revision, folder, environment())


def _run(parts: NodeParts, arguments: list[str], revision: str, folder: Path, env: dict[str, str]) -> Outcome:
    entry = parts.package("@modelcontextprotocol/conformance", "dist", "index.js")
    chosen = ["--spec-version", revision, "--output-dir", str(folder)]
    finished = subprocess.run(
        [str(parts.binary), str(entry), *arguments, *chosen],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=SUITE_SECONDS,
        check=False,
    )
    return Outcome(_checks(folder), finished.stdout + finished.stderr)


def _checks(folder: Path) -> Counter[Check]:
    found: Counter[Check] = Counter()
    for path in sorted(folder.rglob("checks.json")):
        scenario = STAMP.sub("", str(path.parent.relative_to(folder)))
        for check in json.loads(path.read_text(encoding="utf-8")):
            if check["status"] != NARRATION:
                found[(scenario, check["id"], check["status"])] += 1
    return found


def difference(direct: Outcome, through: Outcome) -> str:
    """What is only on one side, one line each; empty when the two runs found the same."""
    lost = [f"- {' '.join(check)} x{number}" for check, number in (direct.checks - through.checks).items()]
    gained = [f"+ {' '.join(check)} x{number}" for check, number in (through.checks - direct.checks).items()]
    return "\n".join(sorted(lost) + sorted(gained))
