"""What `policy validate` warns of about guardrails."""

from __future__ import annotations

import pytest

from cli.policy.content_suspicions import content_suspicions
from mesh.policy import load_texts

TEXT = """apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  outbound: [{backend: "*", guardrails: {GUARDRAILS}}]
  inbound: [{from: ["*"], mcp: {}, guardrails: {pii: mask}}, {from: ["*"], mcp: {}}]
---
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: judge, namespace: agents}
spec: {protocol: HTTP, host: judge.guards.svc, port: 8080, tls: {mode: MODE}}
"""


def told(guardrails: str, mode: str = "None") -> list[str]:
    documents = load_texts([("p.yaml", TEXT.replace("GUARDRAILS", guardrails).replace("MODE", mode))])
    return [f"{one.where}: {one.message}" for one in content_suspicions(documents)]


def external(url: str) -> str:
    return f"processors: [{{name: g, detector: external, action: block, external: {{kind: nemo, url: '{url}'}}}}]"


@pytest.mark.parametrize("mode", ["None", "Public"])
def test_a_detector_that_can_be_asked_is_not_told(mode: str) -> None:
    for url in ("https://guard.example", "http://127.0.0.1:8000", "http://localhost:1", "http://[::1]:1/x"):
        assert told(external(url)) == []
    assert told(external("http://judge.guards.svc:8080/v1"), mode) == []


@pytest.mark.parametrize(
    "url", ["http://guard.example", "http://judge.guards.svc:8081", "http://10.0.0.1:80"]
)
def test_a_detector_that_would_be_asked_in_plain_text_is_told(url: str) -> None:
    (found,) = told(external(url))
    assert found.startswith(
        f"AgentPolicy/triage outbound[0] guardrails g: {url} would be asked in plain text"
    )


@pytest.mark.parametrize(
    "section",
    [
        "pii: mask, budget: 100ms",
        "pii: {action: mask, timeout: 250ms}",
        "pii: {action: mask, timeout: 1s}, budget: 1s",
        "processors: [{name: g, detector: external, action: flag, timeout: 9s, "
        "external: {kind: nemo, url: 'https://g'}}]",
    ],
)
def test_time_that_a_detector_has_is_not_told(section: str) -> None:
    assert told(section) == []


def test_more_time_than_all_detectors_have_together_is_told() -> None:
    (found,) = told("pii: {action: mask, timeout: 1s}, secrets: {action: flag, timeout: 100ms}")
    assert found.startswith(
        "AgentPolicy/triage outbound[0] guardrails pii: timeout 1000ms is never reached: "
    )
    assert "have 250ms together" in found
