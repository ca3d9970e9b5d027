from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cli.main import main

POLICIES = """\
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: github, namespace: agents}
spec: {protocol: MCP, host: mcp-github.tools.svc, port: 8080, path: /mcp, tls: {mode: None}}
---
apiVersion: outrider.dev/v1alpha1
kind: AgentPolicy
metadata: {name: triage, namespace: agents}
spec:
  selector: {matchLabels: {app: triage}}
  outbound:
  - backend: github
    tools: {allow: [get_issue, "list_*"], deny: ["*delete*"]}
  inbound:
  - from: ["spiffe://cluster.local/ns/agents/sa/orchestrator"]
    mcp: {tools: {allow: [ask]}}
"""
TRIAGE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: triage, namespace: agents}
spec:
  template:
    metadata: {labels: {app: triage}}
    spec: {serviceAccountName: triage, containers: [{name: agent, image: agent}]}
"""

Outrider = Callable[..., tuple[int, str, str]]
Write = Callable[[str, str], str]


@pytest.fixture
def outrider(capsys: pytest.CaptureFixture[str]) -> Outrider:
    """Runs `outrider policy …`: the exit code, standard output and standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["policy", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return put


@pytest.fixture
def policies(write: Write) -> str:
    return write("policies.yaml", POLICIES)


@pytest.fixture
def manifests(write: Write) -> str:
    """Policies and the workload they are for, in one file."""
    return write("everything.yaml", f"{POLICIES}---\n{TRIAGE}")
