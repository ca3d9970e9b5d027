"""Tunnels whose bytes nobody can be shown, to destinations that somebody else has to authorize."""

from __future__ import annotations

import pytest

from mesh.policy.compile import Policy, compile_policy
from mesh.policy.load import load_texts
from mesh.policy.principal import Principal
from mesh.reasons import Reason
from sidecar.proxy.connect import TunnelRefused, judge_tunnel
from sidecar.proxy.plan import Tunnel

TEXT = """
apiVersion: outrider.dev/v1alpha1
kind: Backend
metadata: {name: db}
spec: {protocol: TCP, host: db.tools.svc, port: 5432, tls: {mode: None}}
---
apiVersion: agentic.networking.x-k8s.io/v1alpha1
kind: XAccessPolicy
metadata: {name: allow}
spec:
  targetRefs: [{group: outrider.dev, kind: Backend, name: db}]
  action: Allow
  rules: [{name: r, authorization: {type: Inline, %s}}]
"""
GATE = """
---
apiVersion: agentic.networking.x-k8s.io/v1alpha1
kind: XAccessPolicy
metadata: {name: gate}
spec:
  targetRefs: [{group: outrider.dev, kind: Backend, name: db}]
  action: ExternalAuth
  externalAuth: {protocol: HTTP, backendRef: {name: authz, port: 9191}, http: {}}
"""


def policy(fields: str, more: str = "") -> Policy:
    return compile_policy(load_texts([("p.yaml", TEXT % fields + more)]), labels={}, namespace=None)


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ("ports: [5432]", True),
        ("hosts: [db.tools.svc]", True),
        ("ports: [5433]", False),
        ("hosts: [other.tools.svc]", False),
        ("paths: [{type: PathPrefix, value: /}]", False),
        ("headers: [{name: x, value: a}]", False),
    ],
)
def test_of_a_tunnel_only_host_and_port_are_known(fields: str, passes: bool) -> None:
    judged = judge_tunnel("db.tools.svc", 5432, Principal("agent"), policy(fields))
    assert isinstance(judged.outcome, Tunnel) is passes


def test_nobody_can_be_asked_about_the_bytes_of_a_tunnel() -> None:
    judged = judge_tunnel("db.tools.svc", 5432, Principal("agent"), policy("ports: [5432]", GATE))
    assert isinstance(judged.outcome, TunnelRefused)
    assert judged.outcome.reason is Reason.EXTERNAL_AUTH_IMPOSSIBLE
    assert judged.decision is not None
    assert not judged.decision.allowed
