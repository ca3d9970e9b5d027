"""What is done with content, how often may be asked and what is pinned stands beside decisions."""

from __future__ import annotations

import json

import pytest

TEXT = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github, namespace: agents}
spec: {protocol: PROTOCOL, host: github.svc, port: 1, tls: {mode: None}PIN}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  outbound:
  - {backend: github, rateLimit: {requests: 60, per: minute, burst: 5}MORE}
  inbound:
  - {from: ["*"], mcp: {tools: {allow: ["*"]}}, guardrails: {pii: block}, rateLimit: {concurrent: 2}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: careful, namespace: agents}
spec: {outbound: [{backend: github}, {backend: "*", guardrails: {secrets: block}}]}
"""
MORE = ", tools: {allow: ['*']}, guardrails: {pii: {action: mask, kinds: [EMAIL]}, sql: off}"


def text(protocol: str = "MCP") -> str:
    mcp = protocol == "MCP"
    pin = ", pin: {mode: FirstUse}" if mcp else ""
    return TEXT.replace("PROTOCOL", protocol).replace("PIN", pin).replace("MORE", MORE if mcp else "")


def test_explain_shows_what_holds_besides(outrider, write) -> None:
    path = write("p.yaml", text())
    code, out, err = outrider(
        "explain", "agents/triage", "github", "a", path, "--labels", "a=b", "-o", "json"
    )
    assert code == 0, err
    content = json.loads(out)["content"]
    assert "secrets block" in content["guardrails"]
    assert any(one.startswith("pii mask (kinds [EMAIL]") for one in content["guardrails"])
    assert not any(one.startswith("sql") for one in content["guardrails"])
    assert content["rateLimits"] == ["at most 60/m, bursts [5]"]
    assert content["pin"] == "tools pinned (FirstUse)"
    _, out, _ = outrider("explain", "agents/triage", "github", "a", path, "--labels", "a=b")
    assert "Also holds" in out
    assert "at most 60/m" in out
    assert "tools pinned (FirstUse)" in out


def test_callers_are_told_what_holds_for_them(outrider, write) -> None:
    asked = ("explain", "agents/triage", "-", "a", write("p.yaml", text()), "--labels", "a=b")
    code, out, err = outrider(*asked, "--from", "spiffe://cluster.local/ns/x/sa/y", "-o", "json")
    assert code == 0, err
    content = json.loads(out)["content"]
    assert "pii block" in content["guardrails"]
    assert (content["rateLimits"], content["pin"]) == (["at most 2 at once"], None)


@pytest.mark.parametrize("protocol", ["MCP", "HTTP"])
def test_the_matrix_has_the_same_as_json(outrider, write, protocol) -> None:
    path = write("p.yaml", text(protocol))
    code, out, err = outrider("test", path, "--agent", "agents/triage", "--labels", "a=b", "-o", "json")
    assert code == 0, err
    for cell in json.loads(out):
        content = cell["content"]
        assert content["rateLimits"] == ["at most 60/m, bursts [5]"]
        assert bool(content["guardrails"]) is (protocol == "MCP")
        assert content["pin"] == ("tools pinned (FirstUse)" if protocol == "MCP" else None)
