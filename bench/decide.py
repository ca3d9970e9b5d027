"""`python -m bench.decide`: decisions per second, with 10, 100 and 1,000 rules that match or do not.

Not remembered is the first time that a question comes: a new tool. Remembered is every other time. What depends on
the request itself (arguments, HTTP fields, expressions) is worked out each time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mesh.policy import Policy, Principal, RequestContext, compile_policy, load_objects
from mesh.policy.access.level import Trust
from mesh.policy.decision import Target

Object = dict[str, Any]
SIZES = (10, 100, 1000)
BATCHES = 7
BATCH_SECONDS = 0.03
PER_TARGET = 50  # five policies of ten rules
ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")
CONTEXT = RequestContext(
    "POST", "b0.tools.svc", 8080, "/mcp", {"x-tenant": "a"}, datetime(2026, 11, 23, tzinfo=UTC)
)


@dataclass(frozen=True, slots=True)
class Case:
    """One policy and one question; `tool` is granted by the last of its rules."""

    name: str
    policy: Policy
    target: Target
    tool: str
    arguments: Object | None = None

    def ask(self) -> bool:
        decide = self.policy.decide
        return decide(ME, self.target, "tools/call", self.tool, self.arguments, context=CONTEXT).allowed

    def forget(self) -> None:
        self.policy._cache.clear()
        self.policy._conditional.clear()


def document(kind: str, name: str, spec: Object, namespace: str = "agents") -> Object:
    """A document of ours."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "outrider.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def backend(name: str, namespace: str = "agents") -> Object:
    """A Backend of MCP."""
    spec = {"protocol": "MCP", "host": f"{name}.{namespace}.svc", "port": 8080, "path": "/mcp"}
    return document("Backend", name, {**spec, "tls": {"mode": "None"}}, namespace)


def compiled(objects: Iterable[Object], namespace: str = "agents") -> Policy:
    return compile_policy(load_objects(objects), labels={}, namespace=namespace, trust=Trust("cluster.local"))


def outbound(count: int, matching: bool) -> Case:
    """Rules of one AgentPolicy with a tool each, for the Backend that is asked about or for others."""
    rules = [{"backend": "b0", "tools": {"allow": [f"t{i}"]}} for i in range(count if matching else 1)]
    others = [{"backend": f"b{i}", "tools": {"allow": ["*"]}} for i in range(1, count)]
    backends = [backend(f"b{i}") for i in range(1 if matching else count)]
    written = rules if matching else [*rules, *others]
    policy = compiled([*backends, document("AgentPolicy", "p", {"outbound": written})])
    return Case("AgentPolicy, outbound", policy, policy.backends[0], f"t{len(rules) - 1}")


def inbound(count: int, matching: bool) -> Case:
    """Rules of one AgentPolicy for a caller each, or all for the one who asks."""
    rules = [
        {"from": [ME.id if matching or i == 0 else f"{ME.id}-{i}"], "mcp": {"tools": {"allow": [f"t{i}"]}}}
        for i in range(count)
    ]
    policy = compiled([document("AgentPolicy", "p", {"inbound": rules})])
    return Case("AgentPolicy, inbound", policy, policy.inbound("/mcp"), f"t{count - 1 if matching else 0}")


def access(count: int, matching: bool) -> Case:
    """Rules of XAccessPolicies, at most 50 a target: for the one who asks, or for others."""
    backends = [backend(f"b{i}", "tools") for i in range(-(-count // PER_TARGET))]
    policies = list(_policies(count, matching))
    policy = compiled([*backends, *policies])
    target = next(one for one in policy.backends if one.name == "b0")
    return Case("XAccessPolicy", policy, target, f"t{min(count, PER_TARGET) - 1 if matching else 0}")


def _policies(count: int, matching: bool) -> Iterator[Object]:
    for first in range(0, count, 10):
        rules = [
            _rule(f"t{i % PER_TARGET}", ME.id if matching or i == 0 else f"{ME.id}-{i}")
            for i in range(first, min(first + 10, count))
        ]
        yield _policy(f"p{first}", f"b{first // PER_TARGET}", rules)


def _rule(tool: str, source: str, **authorization: Any) -> Object:
    said = {"type": "Inline", "mcp": {"methods": [{"name": "tools/call", "params": [tool]}]}, **authorization}
    return {"name": f"r-{tool}", "source": {"type": "SPIFFE", "spiffe": source}, "authorization": said}


def _policy(name: str, target: str, rules: list[Object]) -> Object:
    group = "agentic.networking.x-k8s.io"
    reference = {"group": "outrider.dev", "kind": "Backend", "name": target}
    return {
        "apiVersion": f"{group}/v1alpha1",
        "kind": "XAccessPolicy",
        "metadata": {"name": name, "namespace": "tools"},
        "spec": {"targetRefs": [reference], "action": "Allow", "rules": rules},
    }


def on_requests() -> Iterator[Case]:
    """One rule of each kind that depends on the request."""
    required = [{"tool": "t0", "require": "args.owner == 'acme'"}]
    rule = {"backend": "b0", "tools": {"allow": ["*"]}, "arguments": required}
    policy = compiled([backend("b0"), document("AgentPolicy", "p", {"outbound": [rule]})])
    yield Case("arguments (CEL)", policy, policy.backends[0], "t0", {"owner": "acme"})
    fields = {"hosts": ["*.tools.svc"], "headers": [{"name": "x-tenant", "value": "a"}]}
    expression = {"type": "CEL", "cel": {"expression": "request.headers['x-tenant'] == 'a'"}}
    for name, made in (
        ("HTTP fields", _rule("t0", ME.id, **fields)),
        ("XAccessPolicy (CEL)", {"name": "r", "authorization": expression}),
    ):
        policy = compiled([backend("b0", "tools"), _policy("p", "b0", [made])])
        yield Case(name, policy, policy.backends[0], "t0")


def per_second(action: Callable[[], object]) -> float:
    """How often a second, of several short batches the fastest: others on the machine only slow it down."""
    best, count = 0.0, 1
    for _ in range(BATCHES):
        elapsed = _timed(action, count)
        while elapsed < BATCH_SECONDS:
            count *= 2
            elapsed = _timed(action, count)
        best = max(best, count / elapsed)
    return best


def _timed(action: Callable[[], object], count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        action()
    return time.perf_counter() - begin


def _first_time(case: Case) -> None:
    case.forget()
    case.ask()


def table() -> str:
    """The whole table, in Markdown."""
    lines = [
        "| rules | how many | not remembered, per second | us | remembered, per second | us |",
        "|---|---|---|---|---|---|",
    ]
    for make in (outbound, inbound, access):
        for matching in (True, False):
            for count in SIZES:
                case = make(count, matching)
                about = "about the question" if matching else "about others"
                lines.append(_row(f"{case.name}, {about}", f"{count:,}", case))
    lines += [_row(f"{case.name}, each time", "1", case) for case in on_requests()]
    return "\n".join(lines)


def _row(name: str, count: str, case: Case) -> str:
    if not case.ask():
        raise RuntimeError(f"{name}: the question is refused, so something else was measured")
    first, again = per_second(lambda: _first_time(case)), per_second(case.ask)
    return f"| {name} | {count} | {first:,.0f} | {1e6 / first:.1f} | {again:,.0f} | {1e6 / again:.2f} |"


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.decide", description=__doc__).parse_args()
    print(table())


if __name__ == "__main__":
    main()
