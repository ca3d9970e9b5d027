"""The schema of `rateLimit`: how often, how many at once, and how large answers may be."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from mesh.policy import yaml_tree
from mesh.policy.entries import name_fault
from mesh.policy.fields import INVALID, Field, Invalid, Place, boolean, choice, describe, integer, read_object
from mesh.policy.guardrails import FailureMode, Rate, RateLimits, RateScope
from mesh.policy.yaml_tree import Broken, Node

MAX_REQUESTS: Final = 1_000_000
MAX_TOOLS: Final = 200
MAX_CONCURRENT: Final = 10_000
MAX_RESULT_BYTES: Final = 2**31 - 1


class Per(StrEnum):
    """What a rate is counted over."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"

    @property
    def seconds(self) -> float:
        """Its length."""
        return {Per.SECOND: 1.0, Per.MINUTE: 60.0, Per.HOUR: 3600.0}[self]


_requests = Field(integer(1, MAX_REQUESTS))
_per = Field(choice(Per))
_burst = Field(integer(1, MAX_REQUESTS), default=0)
_WRITE = "write how many, like {requests: 60, per: minute}"
_WRITE_PER = "write second, minute or hour"

TOOL_RATE_FIELDS: Final = {
    "requests": Field(_requests.read, missing=_WRITE),
    "per": Field(_per.read, missing=_WRITE_PER),
    "burst": _burst,
}


def read_tool_rate(node: Node, place: Place) -> Rate | Invalid:
    """`{requests, per, burst}`."""
    values = read_object(node, place, TOOL_RATE_FIELDS)
    return INVALID if values is None or INVALID in values.values() else _rate(values)


def _rate(values: dict[str, Any]) -> Rate:
    return Rate(values["requests"], values["per"].seconds, values["burst"])


def read_tool_rates(node: Node, place: Place) -> tuple[tuple[str, Rate], ...] | Invalid:
    """Rates by the glob of a tool."""
    if isinstance(node, Broken):
        return INVALID
    if not isinstance(node, yaml_tree.Mapping):
        return place.error(
            node, f"expected rates by tool, like {{create_issue: {{...}}}}, found {describe(node)}"
        )
    if len(node.entries) > MAX_TOOLS:
        place.error(node, f"{len(node.entries)} entries; allowed: up to {MAX_TOOLS}")
        return INVALID
    found: list[tuple[str, Rate]] = []
    faulty = False
    for entry in node.entries:
        below = place.child(entry.key)
        place.sheet.lines[below.path] = entry.line
        fault = name_fault(entry.key)
        if fault is not None:
            below.error(entry.value, fault)
        rate = read_tool_rate(entry.value, below)
        if fault is not None or isinstance(rate, Invalid):
            faulty = True
        else:
            found.append((entry.key, rate))
    return INVALID if faulty else tuple(found)


RATE_FIELDS: Final = {
    "requests": _requests,
    "per": _per,
    "burst": _burst,
    "tools": Field(read_tool_rates, default=()),
    "scope": Field(choice(RateScope), default=RateScope.AGENT),
    "concurrent": Field(integer(1, MAX_CONCURRENT), default=0),
    "resultBytes": Field(integer(1, MAX_RESULT_BYTES), default=0),
    "shared": Field(boolean, default=False),
    "failureMode": Field(choice(FailureMode)),
}
_LIMITS: Final = ("requests", "tools", "concurrent", "resultBytes")


def read_rate_limit(node: Node, place: Place) -> RateLimits | Invalid:
    """The section `rateLimit`."""
    values = read_object(node, place, RATE_FIELDS)
    if values is None:
        return INVALID
    faults = _faults(values)
    for key, message in faults:
        place.child(key).report(message, node.line)
    if faults or INVALID in values.values():
        return INVALID
    return RateLimits(
        every=None if values["requests"] is None else _rate(values),
        tools=values["tools"],
        scope=values["scope"],
        concurrent=values["concurrent"],
        result_bytes=values["resultBytes"],
        shared=values["shared"],
        failure=values["failureMode"] or FailureMode.OPEN,
    )


def _faults(values: dict[str, Any]) -> list[tuple[str, str]]:
    """What is missing beside something, or means nothing without it."""
    faults = []
    if values["requests"] is not None and values["per"] is None:
        faults.append(("per", f"missing; {_WRITE_PER}"))
    if values["requests"] is None:
        beside = "it is said of requests, which are not limited here; write requests, or remove it"
        faults += [(key, beside) for key in ("per", "burst") if values[key] not in (None, 0, INVALID)]
    if not faults and not any(values[key] for key in _LIMITS):
        faults.append(
            ("requests", f"missing; nothing is limited; {_WRITE}, or one of {', '.join(_LIMITS[1:])}")
        )
    if values["failureMode"] is not None and values["shared"] is False:
        faults.append(("failureMode", "it is for limits with shared: true; local counting does not fail"))
    return faults
