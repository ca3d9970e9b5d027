"""Comparison misses nothing: whatever any name newly gets is told as widening."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cli.policy.agents import Agent
from cli.policy.changes import changes
from cli.policy.judging import judge, judge_inbound
from cli.policy.world import World
from mesh.policy import load_texts

ENTRY = st.sampled_from(["*", "a*", "*a", "*b*", "ab", "a?", "b", "ab*", "?", "a_b", "b a"])
NAMES = st.text(alphabet="ab_ ~", min_size=1, max_size=5)
SOURCES = st.sampled_from(
    ["*", "spiffe://td/ns/*/sa/a", "spiffe://td/ns/x/*", "spiffe://td/ns/x/sa/a", "spiffe://td/ns/a*/sa/b"]
)
CALLERS = st.sampled_from(
    [
        f"spiffe://{td}/ns/{ns}/sa/{sa}"
        for td in ("td", "other")
        for ns in ("x", "ab", "q")
        for sa in ("a", "b", "c")
    ]
)
AGENT = Agent("agents", "agent", {})


@st.composite
def policies(draw: st.DrawFn) -> str:
    documents = [
        "apiVersion: outrider.dev/v1alpha1\nkind: Backend\nmetadata: {name: g, namespace: agents}\n"
        "spec: {protocol: MCP, host: g.svc, port: 1, tls: {mode: None}}\n"
    ]
    for index in range(draw(st.integers(0, 2))):
        allow = draw(st.lists(ENTRY, max_size=3, unique=True))
        deny = [one for one in draw(st.lists(ENTRY, max_size=2, unique=True)) if one not in allow]
        mode = draw(st.sampled_from(["enforce", "enforce", "observe"]))
        sources = draw(st.lists(SOURCES, min_size=1, max_size=2, unique=True))
        names = f"{{allow: {quoted(allow)}, deny: {quoted(deny)}}}"
        documents.append(
            f"apiVersion: outrider.dev/v1alpha1\nkind: AgentPolicy\n"
            f"metadata: {{name: p{index}, namespace: agents}}\n"
            f"spec:\n  mode: {mode}\n  outbound: [{{backend: g, tools: {names}}}]\n"
            f"  inbound: [{{from: {quoted(sources)}, mcp: {{tools: {names}}}}}]\n"
        )
    return "---\n".join(documents)


def quoted(entries: list[str]) -> str:
    return "[" + ", ".join(f'"{one}"' for one in entries) + "]"


def world(text: str) -> World:
    return World(load_texts([("p", text)]), [AGENT])


@settings(max_examples=150, deadline=None)
@given(policies(), policies(), NAMES, CALLERS)
def test_whatever_is_newly_allowed_is_told_as_widening(old: str, new: str, name: str, caller: str) -> None:
    before, after = world(old), world(new)
    found = changes(before, after, {})
    (was,), (now,) = before.backends(AGENT), after.backends(AGENT)
    if judge(after, AGENT, now, "tool", name).passes and not judge(before, AGENT, was, "tool", name).passes:
        assert any(one.widens and one.target == "g" for one in found)
    asked = (caller, "/mcp", "tool", name)
    if judge_inbound(after, AGENT, *asked).passes and not judge_inbound(before, AGENT, *asked).passes:
        assert any(one.widens and one.target.startswith("from ") for one in found)


@settings(max_examples=50, deadline=None)
@given(policies(), policies())
def test_widening_one_way_is_narrowing_the_other(old: str, new: str) -> None:
    forth, back = changes(world(old), world(new), {}), changes(world(new), world(old), {})
    wider = {(one.target, one.kind, one.name) for one in forth if one.effect == "wider"}
    narrower = {(one.target, one.kind, one.name) for one in back if one.effect == "narrower"}
    assert wider == narrower


@settings(max_examples=50, deadline=None)
@given(policies())
def test_nothing_differs_from_itself(text: str) -> None:
    assert changes(world(text), world(text), {}) == []
