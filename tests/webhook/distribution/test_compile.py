"""What one pod is given, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from mesh.distribution.digest import content_version
from mesh.policy.load import load_objects
from tests.support.control_world import (
    access_policy,
    agent_policy,
    agentic_backend,
    backend,
    compiled,
    documents,
    empty_world,
    gateway_backend,
    pod,
    put,
    service,
)
from webhook.distribution.kinds import (
    ACCESS_POLICY,
    AGENT_POLICY,
    AGENTIC_BACKEND,
    BACKEND,
    GATEWAY,
    GATEWAY_BACKEND,
)
from webhook.distribution.lines import encode
from webhook.distribution.world import World

TRIAGE = pod(app="triage")
OURS = {"gatewayClassName": "outrider"}


def given(world: World, of=TRIAGE) -> set[str]:
    return set(documents(compiled(world, of))) - {"Standing/agents/standing", "Standing/tools/standing"}


@pytest.fixture
def world() -> World:
    made = empty_world()
    made.put_pod(TRIAGE)
    return made


def test_policies_of_its_namespace_that_select_it(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}))
    put(world, AGENT_POLICY, "all", agent_policy())
    put(world, AGENT_POLICY, "other", agent_policy({"app": "other"}))
    put(world, AGENT_POLICY, "elsewhere", agent_policy(), "tools")
    assert given(world) == {"AgentPolicy/agents/mine", "AgentPolicy/agents/all"}


def test_every_backend_of_its_namespace_because_one_that_is_not_granted_is_refused(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "github", egress="allow"))
    put(world, BACKEND, "github", backend())
    put(world, BACKEND, "payroll", backend("payroll.tools.svc.cluster.local"))
    put(world, BACKEND, "foreign", backend("foreign.example"), "tools")
    assert given(world) == {"AgentPolicy/agents/mine", "Backend/agents/github", "Backend/agents/payroll"}


def test_a_backend_of_another_namespace_that_its_policy_names(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "tools/github"))
    put(world, BACKEND, "github", backend(), "tools")
    put(world, BACKEND, "slack", backend("slack.example"), "tools")
    put(
        world,
        ACCESS_POLICY,
        "guard",
        access_policy("github", "x/y", kind="Backend", group="outrider.dev"),
        "tools",
    )
    assert given(world) == {"AgentPolicy/agents/mine", "Backend/tools/github", "XAccessPolicy/tools/guard"}


@pytest.mark.parametrize(
    ("source", "granted"),
    [
        ("spiffe://mesh.example/ns/agents/sa/triage", True),
        ("agents/triage", True),
        ("*", True),
        ("agents/other", False),
        ("spiffe://elsewhere.example/ns/agents/sa/triage", False),
    ],
)
def test_an_xbackend_elsewhere_that_lets_it_in(world, source, granted) -> None:
    put(world, AGENTIC_BACKEND, "github", agentic_backend(), "tools")
    world.put_service(service(app="github"))
    world.put_pod(pod("github-1", "tools", "github", app="github"))
    put(world, ACCESS_POLICY, "guard", access_policy("github", source), "tools")
    expected = {"Backend/tools/github", "XAccessPolicy/tools/guard"} if granted else set()
    assert given(world) == expected


def test_a_policy_that_is_not_accepted_grants_nothing_elsewhere(world) -> None:
    put(
        world, GATEWAY_BACKEND, "github", gateway_backend(tls={"mode": "ServerOnly"}, protocol="MCP"), "tools"
    )
    guard = access_policy("github", "*", group="gateway.networking.x-k8s.io")
    put(world, ACCESS_POLICY, "rejected", guard, "tools")
    assert given(world) == set()


def test_nobody_declares_for_others_how_a_host_is_reached_that_is_not_theirs(world) -> None:
    guard = access_policy("github", "*", kind="Backend", group="outrider.dev")
    put(world, ACCESS_POLICY, "guard", guard, "tools")
    put(world, BACKEND, "github", backend("api.example.com"), "tools")
    assert given(world) == set()
    put(world, BACKEND, "github", backend("x.agents.svc.cluster.local"), "tools", generation=2)
    assert given(world) == set()
    put(world, BACKEND, "github", backend("x.tools.svc"), "tools", generation=3)
    assert given(world) == {"Backend/tools/github", "XAccessPolicy/tools/guard"}
    put(world, AGENT_POLICY, "mine", agent_policy())
    assert given(world) == {"AgentPolicy/agents/mine"}


def test_a_policy_on_a_gateway_is_about_every_backend_of_its_namespace(world) -> None:
    put(world, BACKEND, "github", backend(), "tools")
    put(world, GATEWAY, "mesh", OURS, "tools")
    put(world, GATEWAY, "other", {"gatewayClassName": "other"}, "tools")
    of_gateway = {"kind": "Gateway", "group": "gateway.networking.k8s.io"}
    put(world, ACCESS_POLICY, "foreign", access_policy("other", "*", **of_gateway), "tools")
    assert given(world) == set()
    put(world, ACCESS_POLICY, "guard", access_policy("mesh", "agents/triage", **of_gateway), "tools")
    assert given(world) == {"Backend/tools/github", "XAccessPolicy/tools/guard"}


def test_what_it_stands_behind(world) -> None:
    world.put_service(service("triage", "agents", app="triage"))
    world.put_service(service("other", "agents", app="other"))
    put(world, BACKEND, "me", backend("triage.agents.svc"))
    put(world, AGENTIC_BACKEND, "also-me", agentic_backend("triage", 9000))
    put(world, GATEWAY, "mesh", OURS)
    targets = documents(compiled(world, TRIAGE))["Standing/agents/standing"]["spec"]["targets"]
    assert [(one["group"], one["kind"], one["name"]) for one in targets] == [
        ("", "Service", "triage"),
        ("agentic.networking.x-k8s.io", "XBackend", "also-me"),
        ("gateway.networking.k8s.io", "Gateway", "mesh"),
        ("outrider.dev", "Backend", "me"),
    ]


def test_policies_about_what_it_stands_behind(world) -> None:
    world.put_service(service("triage", "agents", app="triage"))
    put(world, ACCESS_POLICY, "guard", access_policy("triage", "x/y", kind="Service", group=""))
    put(world, ACCESS_POLICY, "other", access_policy("other", "x/y", kind="Service", group=""))
    assert given(world) == {"XAccessPolicy/agents/guard"}


def test_its_own_backend_comes_before_one_elsewhere_at_the_same_place(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "tools/github"))
    put(world, BACKEND, "mine", backend())
    put(world, BACKEND, "github", backend(), "tools")
    assert given(world) == {"AgentPolicy/agents/mine", "Backend/agents/mine"}


def test_the_version_is_of_what_is_in_it_and_of_nothing_else(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}))
    before = compiled(world, TRIAGE).version
    put(world, AGENT_POLICY, "elsewhere", agent_policy(), "tools")
    assert compiled(world, TRIAGE).version == before
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, egress="allow"), generation=2)
    assert compiled(world, TRIAGE).version != before


def test_a_line_is_what_the_sidecar_reads(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "github"))
    put(world, BACKEND, "github", backend())
    world.put_service(service("triage", "agents", app="triage"))
    made = compiled(world, TRIAGE)
    from mesh.distribution.messages import read_from_control

    read = read_from_control(encode(made).rstrip(b"\n")).configuration
    assert read is not None
    assert read.version == made.version == content_version(read)
    assert read.labels == {"app": "triage"}
    loaded = load_objects(read.documents)
    assert [one.name for one in loaded.policies] == ["mine"]
    assert [one.name for one in loaded.standing] == ["triage"]
    assert msgspec.json.decode(encode(made))["configuration"]["documents"] == read.documents
