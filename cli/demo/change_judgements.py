"""What must come of a policy that changes under a session: pure functions from what was seen to findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cli.demo.documents import MISSPELT
from cli.demo.findings import Finding, contains, equal, shown
from cli.demo.judgements import GRANTED, unknown_tool
from cli.demo.processes import Record
from cli.demo.visits import Call, Sight, Watched

TAKEN: Final = GRANTED[-1]
KEPT: Final = GRANTED[:-1]
WRITE: Call = (TAKEN, {"name": "watched", "text": "Still here."})
EVERYTHING: Final = Sight(GRANTED, "wrote watched")
LESS: Final = Sight(KEPT, unknown_tool(TAKEN))
CHANGE_SECONDS: Final = 3.0
"""It takes half a second or less where the machine has time: the control plane looks at the files that often."""


@dataclass(frozen=True, slots=True)
class Change:
    """What the session saw at last after the policy file was saved, and how many seconds later."""

    sight: Sight | None
    seconds: float


def distributed(configurations: Mapping[str, Sequence[Record]]) -> Finding:
    """`configurations`: what the sidecar of each workload logged of them, by the workload's name."""
    return equal(
        "Each sidecar has its policy from the control plane, and nobody else's",
        expected={name: f"stream AgentPolicy/{name}" for name in configurations},
        seen={
            name: " ".join([str(found[-1]["source"]), *found[-1]["policies"]]) if found else "nothing"
            for name, found in configurations.items()
        },
        evidence=", ".join(f"{name} has AgentPolicy/{name}" for name in configurations),
    )


def changed(before: Sight | None, taken: Change) -> Iterator[Finding]:
    """A tool was taken from the policy."""
    yield equal(
        f"The agent's session sees {TAKEN}, and calls it",
        expected=str(EVERYTHING),
        seen=shown(before and str(before)),
        evidence=str(before),
    )
    yield _in_time(
        f"The policy file grants it no longer: in that session {TAKEN} is gone, and a call is refused",
        LESS,
        taken,
    )


def restored(change: Change) -> Finding:
    """The policy is as it was."""
    return _in_time("The file as it was is in force as well: the tool is back", EVERYTHING, change)


def _in_time(statement: str, expected: Sight, change: Change) -> Finding:
    after = f"{change.seconds:.2f} s after the file was saved"
    return Finding(
        statement,
        change.sight == expected and change.seconds <= CHANGE_SECONDS,
        f"{expected}, at most {CHANGE_SECONDS:g} s after the file was saved",
        f"{shown(change.sight and str(change.sight))}, {after}",
        f"{after}: {change.sight}",
    )


def mistaken(refusal: Record, since: Sequence[Sight]) -> Iterator[Finding]:
    """The file was saved with a mistake in it. `since`: what the session saw in the rounds that followed."""
    errors = "; ".join(refusal.get("errors", ()))
    yield contains(
        "A mistake in the file is told by the control plane",
        expected=MISSPELT.rstrip(":"),
        seen=errors,
        evidence=f"{refusal.get('object')}: {errors}",
    )
    yield Finding(
        "It changes nothing: what was in force before is in force",
        refusal.get("in_force") == "last valid" and bool(since) and set(since) == {LESS},
        f"last valid: {LESS}",
        f"{shown(refusal.get('in_force'))}: {shown([str(one) for one in dict.fromkeys(since)])}",
        f"{len(since)} more lists and calls, all as before",
    )


def undisturbed(watched: Watched, starts: Mapping[str, int], versions: Sequence[str]) -> Iterator[Finding]:
    """`starts`: how often each sidecar has started; `versions`: of the configurations of the agent's."""
    yield Finding(
        "All that was one session, and no sidecar was restarted",
        watched.failed is None and set(starts.values()) == {1} and len(set(versions)) == len(versions) - 1,
        "one session that nothing ended; each sidecar started once, the agent's with the first and last alike",
        watched.failed or f"started: {shown(dict(starts))}; configurations: {shown(versions)}",
        f"{watched.rounds} lists and calls in one session of MCP {watched.version}; configurations of the "
        f"agent's sidecar: {' then '.join(version[:8] for version in versions)}",
    )
