from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mesh.policy import Principal, compile_policy, load_objects
from mesh.reasons import Reason
from tests.support.access_policies import agent_policy, backend

ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")
Faults = Callable[..., list[str]]


def seen(*objects: Any) -> list[str]:
    policy = compile_policy(load_objects(objects), labels={}, namespace="agents")
    return [f"{one.namespace}/{one.name}" for one in policy.backends]


def naming(*names: str) -> Any:
    return agent_policy({"outbound": [{"backend": name, "tools": {"allow": ["*"]}} for name in names]})


def test_an_agent_sees_its_namespace_and_what_its_policies_name_elsewhere() -> None:
    elsewhere = backend("github"), backend("jira"), backend("own", "agents")
    assert seen(*elsewhere, naming("own")) == ["agents/own"]
    assert seen(*elsewhere, naming("tools/jira", "own")) == ["agents/own", "tools/jira"]
    assert seen(*elsewhere, naming("*")) == ["agents/own"]


def test_without_a_policy_it_sees_what_other_namespaces_offer_of_their_own() -> None:
    assert seen(backend("github"), backend("own", "agents")) == ["agents/own", "tools/github"]


@pytest.mark.parametrize(
    "host", ["api.example.com", "x.agents.svc", "tools.svc", "x.tools.example", "10.0.0.1"]
)
def test_nobody_offers_what_is_not_their_own(host: str) -> None:
    assert seen(backend("github", host=host)) == []


def test_an_own_backend_takes_precedence() -> None:
    own = backend("mine", "agents", host="github.tools.svc")
    assert seen(own, backend("github", path="/mcp/longer")) == ["agents/mine"]


def test_a_rule_names_a_backend_of_its_namespace_or_of_another() -> None:
    objects = backend("github", "agents"), backend("github"), naming("tools/github")
    policy = compile_policy(load_objects(objects), labels={}, namespace="agents")
    own, other = policy.backends
    assert policy.decide(ME, own, "tools/call", "x").reason == Reason.BACKEND_NOT_GRANTED
    assert policy.decide(ME, other, "tools/call", "x").allowed


def test_the_name_of_a_backend_elsewhere_is_checked(
    faults: Faults, backend: Callable[..., str], agent_policy: Callable[..., str]
) -> None:
    def naming(name: str) -> list[str]:
        rule = f"{{outbound: [{{backend: {name}, tools: {{allow: ['*']}}}}]}}"
        return faults(backend(namespace="tools"), agent_policy(rule, namespace="agents"))

    assert naming("tools/github") == []
    assert "there is no Backend jira in namespace tools" in naming("tools/jira")[0]
    assert "there is no Backend github in namespace agents" in naming("github")[0]
    assert len(naming("Tools/github")) == len(naming("a/b/github")) == len(naming("/github")) == 1
