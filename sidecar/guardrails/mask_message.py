"""Masks one JSON-RPC message as a whole: its findings, the schema it has to satisfy, texts that repeat it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from mesh.policy.guardrails import Direction
from sidecar.guardrails.copies import STRUCTURED, Copies, snapshot
from sidecar.guardrails.masking import ANYTHING, MOST_MASKED, Masked, mask, to_mask
from sidecar.guardrails.schemas import IMPOSSIBLE, Limits, limits_at
from sidecar.guardrails.vault import Vault
from sidecar.guardrails.verdict import Finding, Leaf, Verdict

_Path = tuple[str | int, ...]
_RESULTS: tuple[_Path, ...] = (("result",), ("result", "result"), ("params", "result"))
"""Where the result of a tool may stand: in an answer, in that about a task, in a notification about one."""
MOST_LIMITED: Final = 1024
"""Places of one message that a schema is asked about; what is found in more of them is unmaskable."""
_MOST_SCHEMAS: Final = 64 * MOST_LIMITED
BUDGET: Final = 0.25
"""Seconds for one message, about as long as its examination may take."""
_ARGUMENTS: _Path = ("params", "arguments")


def mask_message(
    message: dict[str, Any],
    verdict: Verdict,
    vault: Vault,
    schema: dict[str, Any] | None = None,
    *,
    direction: Direction = Direction.RESPONSE,
    reversible: bool = False,
    clock: Callable[[], float] = time.perf_counter,
    budget: float = BUDGET,
) -> Masked:
    """Changes `message` in place, so that what `verdict` wants masked no longer stands in it.

    `schema` is the tool's: the outputSchema for an answer, the inputSchema for a call. `direction` is that of the
    message; with `reversible` values are turned back in messages of the other direction (`restore_message`). If
    anything is unmaskable the message has to be kept back: parts of it are masked by then, others are not.

    So is what has not been masked `budget` seconds of `clock` after the beginning, and all of it where more than
    MOST_MASKED findings are to be masked: time that whoever writes messages or schemas may take of others'.
    """
    findings = to_mask(verdict.findings)
    if not findings:
        return Masked(False)
    if len(findings) > MOST_MASKED:
        return Masked(False, tuple(findings))
    end = clock() + budget
    vault.avoid(msgspec.json.encode(message).decode())
    copies = [snapshot(result, path) for path, result in _results(message)]
    moved, stuck = _moved(findings, copies)
    masked = mask(
        moved,
        vault,
        direction=direction,
        reversible=reversible,
        limits=_limits(message, schema, copies, moved, lambda: clock() > end),
        late=lambda: clock() > end,
    )
    settled = [one.settle() for one in copies]
    return Masked(masked.changed or any(settled), (*stuck, *masked.unmaskable))


def _results(message: dict[str, Any]) -> Iterator[tuple[_Path, dict[str, Any]]]:
    for path in _RESULTS:
        here: Any = message
        for step in path:
            here = here.get(step) if type(here) is dict else None
        if type(here) is dict and STRUCTURED in here:
            yield path, here


def _moved(findings: list[Finding], copies: list[Copies]) -> tuple[list[Finding], list[Finding]]:
    """The findings, those in copies where they stand in the structured content; and those that have no place
    there, as in a key."""
    moved: list[Finding] = []
    stuck: list[Finding] = []
    for finding in findings:
        for one in copies:
            found = one.moved(finding)
            if found is not None:
                moved += found
                stuck += [] if found else [finding]
                break
        else:
            moved.append(finding)
    return moved, stuck


def _limits(
    message: dict[str, Any],
    schema: dict[str, Any] | None,
    copies: list[Copies],
    findings: list[Finding],
    late: Callable[[], bool],
) -> Any:
    places: list[tuple[_Path, Any]] = [((*one.path, STRUCTURED), one.result[STRUCTURED]) for one in copies]
    params = message.get("params")
    if "method" in message and type(params) is dict:
        places.append((_ARGUMENTS, params.get("arguments")))

    left, asked = [_MOST_SCHEMAS], 0
    hidden = {(id(one.leaf.holder), one.leaf.key) for one in findings}

    def limits(leaf: Leaf) -> Limits:
        nonlocal asked
        path = (*leaf.path, leaf.key)
        for prefix, document in places:
            if path[: len(prefix)] == prefix:
                asked += 1
                return (
                    IMPOSSIBLE
                    if asked > MOST_LIMITED
                    else limits_at(schema, document, path[len(prefix) :], left, hidden=hidden, late=late)
                )
        return ANYTHING

    return limits if schema is not None else lambda _: ANYTHING
