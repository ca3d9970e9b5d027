"""Rate limits in documents: every form, and every fault with its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import Documents
from mesh.policy.guardrails import FailureMode, Rate, RateLimits, RateScope

Load = Callable[..., Documents]
Faults = Callable[..., list[str]]
Make = Callable[..., str]


def rule(limits: str) -> str:
    return f"{{outbound: [{{backend: '*', rateLimit: {limits}}}]}}"


@pytest.mark.parametrize(
    ("written", "limits"),
    [
        ("{requests: 60, per: minute}", RateLimits(every=Rate(60, 60.0))),
        ("{requests: 1, per: second, burst: 5}", RateLimits(every=Rate(1, 1.0, 5))),
        (
            "{tools: {create_issue: {requests: 5, per: hour, burst: 2}, 'get_*': {requests: 1, per: second}}}",
            RateLimits(tools=(("create_issue", Rate(5, 3600.0, 2)), ("get_*", Rate(1, 1.0)))),
        ),
        (
            "{concurrent: 4, resultBytes: 1048576, scope: user}",
            RateLimits(scope=RateScope.USER, concurrent=4, result_bytes=1048576),
        ),
        (
            "{concurrent: 4, shared: true, failureMode: closed}",
            RateLimits(concurrent=4, shared=True, failure=FailureMode.CLOSED),
        ),
        ("{concurrent: 4, shared: true}", RateLimits(concurrent=4, shared=True)),
    ],
)
def test_limits_are_read(load: Load, agent_policy: Make, written: str, limits: RateLimits) -> None:
    assert load(agent_policy(rule(written))).policies[0].outbound[0].rate == limits


@pytest.mark.parametrize(
    ("written", "faults_told"),
    [
        ("60/m", [": expected a mapping, found"]),
        (
            "{}",
            [".requests: missing; nothing is limited; write how many, like {requests: 60, per: minute}, or"],
        ),
        ("{shared: true}", [".requests: missing; nothing is limited"]),
        ("{requests: 60}", [".per: missing; write second, minute or hour"]),
        ("{requests: 0, per: second}", [".requests: 0 is out of range; allowed: 1 to 1000000"]),
        ("{requests: 1, per: day}", ['.per: "day" is not allowed; allowed: second, minute, hour']),
        ("{concurrent: 1, per: hour}", [".per: it is said of requests, which are not limited here"]),
        ("{concurrent: 1, burst: 2}", [".burst: it is said of requests, which are not limited here"]),
        ("{concurrent: 1, failureMode: open}", [".failureMode: it is for limits with shared: true"]),
        ("{concurrent: 1, scope: tool}", ['.scope: "tool" is not allowed; allowed: agent, user']),
        ("{concurrent: '1'}", [".concurrent: expected a whole number from 1 to 10000, without quotes"]),
        ("{resultBytes: 1MB}", [".resultBytes: expected a whole number"]),
        ("{tools: [a]}", [".tools: expected rates by tool, like {create_issue: {...}}, found a list"]),
        (
            "{tools: {a: {}}}",
            [".tools.a.per: missing; write second", ".tools.a.requests: missing; write how many"],
        ),
        ("{tools: {'a**': {requests: 1, per: hour}}}", ['.tools["a**"]: ** is not a pattern']),
        ("{tools: {a: 5}}", [".tools.a: expected a mapping"]),
        ("{concurrent: 1, tols: {}}", [".tols: unknown field, did you mean tools?"]),
        (
            f"{{tools: {{{', '.join(f'a{n}: {{requests: 1, per: hour}}' for n in range(201))}}}}}",
            [".tools: 201 entries; allowed: up to 200"],
        ),
    ],
)
def test_each_fault_is_told_with_its_place(
    faults: Faults, agent_policy: Make, written: str, faults_told: list[str]
) -> None:
    found = faults(agent_policy(rule(written)))
    assert len(found) == len(faults_told)
    for fault, told in zip(found, faults_told, strict=True):
        assert fault.startswith(f"4: spec.outbound[0].rateLimit{told}")
