"""Of guardrails, rates and pins it is known which lets pass more, wherever that can be known."""

from __future__ import annotations

import pytest

from cli.output.blocks import Table
from cli.policy.agents import Agent
from cli.policy.changes import Effect, changes
from cli.policy.differing import blocks
from cli.policy.world import World
from mesh.policy import load_texts

AGENT = Agent("agents", "triage", {})
TEXT = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github, namespace: agents}
spec: {protocol: PROTOCOL, host: github.svc, port: 1, tls: {mode: None}PIN}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec: {outbound: [{backend: github, MORE}]}
"""


def world(more: str = "tools: {allow: [a]}", pin: str = "", protocol: str = "MCP") -> World:
    pinned = f", pin: {pin}" if pin else ""
    text = TEXT.replace("PROTOCOL", protocol).replace("PIN", pinned).replace("MORE", more)
    return World(load_texts([("p", text)]), [AGENT])


def effects(old: World, new: World) -> list[Effect | None]:
    return [one.effect for one in changes(old, new, {})]


def judged(old: World, new: World, effect: Effect | None) -> None:
    mirrored = {Effect.NARROWER: Effect.WIDER, Effect.WIDER: Effect.NARROWER}
    back = None if effect is None else mirrored.get(effect, effect)
    assert effects(old, new) == ([] if effect is None else [effect])
    assert effects(new, old) == ([] if back is None else [back])


N, C = Effect.NARROWER, Effect.CHANGED
EXTERNAL = "{name: g, detector: external, action: block, external: {kind: nemo, url: 'https://g'}}"


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        ("secrets: off", "secrets: flag", N),
        ("secrets: off", "secrets: block", N),
        ("pii: mask", "pii: block", N),
        ("pii: mask", "pii: {action: mask, direction: request}", Effect.WIDER),
        ("pii: {action: mask, tools: [a]}", "pii: mask", N),
        ("pii: {action: mask, kinds: [EMAIL]}", "pii: {action: mask, kinds: [EMAIL, IP]}", N),
        ("pii: {action: mask, kinds: [EMAIL]}", "pii: {action: mask, kinds: [IP]}", C),
        ("pii: {action: mask, locales: [us]}", "pii: {action: mask, locales: [us, gb]}", N),
        ("pii: {action: mask, failureMode: open}", "pii: mask", N),
        ("pii: {action: mask, timeout: 10ms}", "pii: mask", C),
        ("pii: {action: block, observe: true}", "pii: block", N),
        ("secrets: {action: block, entropy: false}", "secrets: block", N),
        ("sql: {action: block, statements: [select]}", "sql: block", N),
        (
            "sql: {action: block, statements: [select, insert]}",
            "sql: {action: block, statements: [select]}",
            N,
        ),
        ("sql: {action: block, statements: [insert]}", "sql: {action: block, statements: [select]}", C),
        ("injection: {action: block, threshold: 0.9}", "injection: {action: block, threshold: 0.5}", N),
        ("exfiltration: {action: block, hosts: [a.b]}", "exfiltration: block", N),
        ("terms: {action: block, words: [a]}", "terms: {action: block, words: [a, b]}", N),
        ("shape: {action: block, bytes: 9}", "shape: {action: block, bytes: 5, depth: 3}", N),
        ("shape: {action: block, bytes: 9}", "shape: {action: block, depth: 3}", C),
        ("secrets: off, pii: block", "secrets: block, pii: mask", C),
        ("pii: mask, reversible: true", "pii: mask", N),
        ("pii: block, budget: 1s", "pii: block", C),
        ("pii: flag", f"pii: flag, processors: [{EXTERNAL}]", C),
        (
            "processors: [{name: x, detector: pii, action: mask}]",
            "processors: [{name: z, detector: pii, action: mask}]",
            None,
        ),
    ],
)
def test_guardrails_are_ordered_where_they_can_be(old: str, new: str, effect: Effect | None) -> None:
    was, now = (world(f"tools: {{allow: [a]}}, guardrails: {{{one}}}") for one in (old, new))
    judged(was, now, effect)


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        ("requests: 50, per: minute", "requests: 5, per: minute", N),
        ("requests: 60, per: minute", "requests: 1, per: second", N),
        ("requests: 60, per: minute", "requests: 10, per: second", C),
        ("requests: 60, per: minute, burst: 10", "requests: 60, per: minute, burst: 5", N),
        ("requests: 60, per: minute, burst: 60", "requests: 60, per: minute", None),
        ("concurrent: 9", "concurrent: 3", N),
        ("concurrent: 9", "concurrent: 9, resultBytes: 5", N),
        ("requests: 9, per: hour, scope: user", "requests: 9, per: hour", N),
        ("requests: 9, per: hour", "requests: 9, per: hour, shared: true", N),
        (
            "requests: 9, per: hour, shared: true",
            "requests: 9, per: hour, shared: true, failureMode: closed",
            N,
        ),
        ("tools: {a: {requests: 9, per: hour}}", "tools: {a: {requests: 3, per: hour}}", N),
        ("tools: {a: {requests: 9, per: hour}}", "requests: 3, per: hour", N),
        ("tools: {a: {requests: 9, per: hour}}", "tools: {b: {requests: 9, per: hour}}", C),
    ],
)
def test_rates_are_ordered_where_they_can_be(old: str, new: str, effect: Effect | None) -> None:
    was, now = (world(f"tools: {{allow: [a]}}, rateLimit: {{{one}}}") for one in (old, new))
    judged(was, now, effect)
    judged(world(), was, N)


def test_the_row_says_which_way() -> None:
    was, now = (world(f"tools: {{allow: [a]}}, guardrails: {{secrets: {one}}}") for one in ("off", "block"))
    for old, new, word in ((was, now, "stricter"), (now, was, "less strict")):
        table = list(blocks(changes(old, new, {})))[1]
        assert isinstance(table, Table)
        assert table.rows[0].cells[2] == word


def test_rates_of_plain_http_are_compared() -> None:
    was, now = (world(f"rateLimit: {{requests: {count}, per: minute}}", protocol="HTTP") for count in (50, 5))
    judged(was, now, N)


DIGESTS = [f"sha256:{digit * 64}" for digit in "ab"]


@pytest.mark.parametrize(
    ("old", "new", "effect"),
    [
        ("", "{mode: FirstUse}", N),
        ("{mode: FirstUse, observe: true}", "{mode: FirstUse}", N),
        ("{mode: FirstUse}", "{mode: FirstUse, generation: 2}", C),
        ("{mode: FirstUse}", f"{{mode: Approved, digest: '{DIGESTS[0]}'}}", N),
        (f"{{mode: Approved, digest: '{DIGESTS[0]}'}}", f"{{mode: Approved, digest: '{DIGESTS[1]}'}}", C),
        (
            f"{{mode: Approved, tools: {{a: '{DIGESTS[0]}', b: '{DIGESTS[1]}'}}}}",
            f"{{mode: Approved, tools: {{a: '{DIGESTS[0]}'}}}}",
            N,
        ),
    ],
)
def test_pins_are_ordered_where_they_can_be(old: str, new: str, effect: Effect) -> None:
    judged(world(pin=old), world(pin=new), effect)


def test_what_is_tightened_besides_another_place_is_still_told_as_other_conditions() -> None:
    was, now = world(), world("tools: {allow: [a]}, guardrails: {pii: block}", protocol="MCP")
    moved = load_texts(
        [
            (
                "p",
                TEXT.replace("PROTOCOL", "MCP")
                .replace("PIN", "")
                .replace("github.svc", "x.svc")
                .replace("MORE", "tools: {allow: [a]}, guardrails: {pii: block}"),
            )
        ]
    )
    assert effects(was, World(moved, [AGENT])) == [C]
    assert effects(was, now) == [N]
