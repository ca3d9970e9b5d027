"""What is done with content, in words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.describe.content import content_change, guardrails_told, pin_told, rates_told
from cli.main import main
from mesh.policy import Principal, compile_policy, load_texts
from mesh.policy.documents import OutboundRule
from mesh.policy.guardrails import Guardrails, Pin, PinMode, RateLimits

TEXT = """apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: crm, namespace: agents}
spec: {protocol: MCP, host: crm.example, port: 443, tls: {mode: Public}, path: /mcp PIN}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  outbound: [{backend: crm, tools: {allow: [get]} MORE}]
"""


def text(more: str, pin: str = "") -> str:
    return TEXT.replace(" MORE", f", {more}" if more else "").replace(" PIN", f", {pin}" if pin else "")


def rule(more: str) -> OutboundRule:
    return load_texts([("p.yaml", text(more))]).policies[0].outbound[0]


def content(more: str) -> tuple[Guardrails, tuple[RateLimits, ...]]:
    policy = compile_policy(load_texts([("p.yaml", text(more))]), labels={}, namespace="agents")
    return policy.content(Principal("spiffe://a/b"), policy.backends[0])


def told(more: str) -> Iterator[str]:
    one = rule(more)
    yield from guardrails_told(one.guardrails)
    yield from rates_told(one.rate)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", []),
        ("guardrails: {}", []),
        (
            "guardrails: {pii: {action: mask, observe: true}, secrets: off, reversible: true, "
            "processors: [{name: x, detector: sql, action: block}]}",
            ["guardrails secrets off, pii mask (observed), x (sql) block, reversible"],
        ),
        (
            "rateLimit: {requests: 60, per: minute, tools: {get: {requests: 1, per: second}}, concurrent: 4, "
            "resultBytes: 10, scope: user}",
            ["at most 60/m, get 1/s, 4 at once, answers of 10 bytes for each user"],
        ),
    ],
)
def test_rules_are_told(more: str, expected: list[str]) -> None:
    assert list(told(more)) == expected


def test_pins_are_told() -> None:
    assert pin_told(None) == "nothing pinned"
    assert pin_told(Pin(PinMode.FIRST_USE, observe=True)) == "tools pinned (FirstUse, observed)"
    assert pin_told(Pin(PinMode.APPROVED, "d", (("a", "e"),))) == "tools pinned (Approved: d, a e)"


@pytest.mark.parametrize(
    ("old", "new", "was", "now"),
    [
        ("guardrails: {pii: block}", "guardrails: {pii: mask}", "pii block", "pii mask"),
        ("guardrails: {pii: off}", "", "no more than that", "pii flag"),
        (
            "guardrails: {pii: block}",
            "guardrails: {pii: {action: block, kinds: [IP, EMAIL], tools: [b, a]}, reversible: true, budget: 1s}",
            "pii block",
            "pii block (tools [b, a]; kinds [EMAIL, IP]; locales []), what is masked put back, 1 s for checks",
        ),
        (
            "rateLimit: {requests: 60, per: minute}",
            "rateLimit: {requests: 60, per: minute, burst: 5, shared: true, failureMode: closed}",
            "at most 60/m",
            "at most 60/m, bursts [5], shared (closed)",
        ),
    ],
)
def test_a_change_is_told_without_what_stays(old: str, new: str, was: str, now: str) -> None:
    assert content_change(content(old), content(new)) == (was, now)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (("guardrails: {pii: block}", ""), ("guardrails: {pii: flag}", "")),
        (("rateLimit: {concurrent: 1}", ""), ("", "")),
        (("", "pin: {mode: FirstUse}"), ("", "")),
    ],
)
def test_what_is_weakened_is_in_the_difference(
    tmp_path: object, capsys: pytest.CaptureFixture[str], old: tuple[str, str], new: tuple[str, str]
) -> None:
    paths = []
    for name, one in (("old", old), ("new", new)):
        path = f"{tmp_path}/{name}.yaml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text(*one))
        paths.append(path)
    main(["policy", "diff", *paths])
    assert "(any use)" in capsys.readouterr().out
    main(["policy", "diff", paths[0], paths[0]])
    assert "(any use)" not in capsys.readouterr().out
