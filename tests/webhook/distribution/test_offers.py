"""What Backends and XBackends come to, and who has what two of them claim."""

from __future__ import annotations

import pytest

from tests.support.control_world import (
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
from webhook.distribution.kinds import AGENTIC_BACKEND, BACKEND, GATEWAY_BACKEND, Key
from webhook.distribution.offers import Offer, Unoffered
from webhook.distribution.world import World

TRIAGE = pod(app="triage")
NOBODY = {"mode": "Mesh", "identity": "spiffe://mesh.example/ns/agents/sa/_nobody"}
GITHUB = Key(AGENTIC_BACKEND, "agents", "github")


@pytest.fixture
def world() -> World:
    made = empty_world()
    made.put_pod(TRIAGE)
    return made


def spec(world: World, name: str = "github") -> dict[str, object]:
    return documents(compiled(world, TRIAGE))[f"Backend/agents/{name}"]["spec"]


def why(world: World, key: Key = GITHUB) -> str:
    offered = world.offered(key)
    assert offered is not None
    return offered.reason


def test_a_service_is_reached_over_mutual_tls_with_the_account_of_its_pods(world) -> None:
    put(world, AGENTIC_BACKEND, "github", agentic_backend())
    assert (spec(world)["tls"], why(world)) == (NOBODY, "ServiceNotFound")
    world.put_service(service("github", "agents", app="github"))
    assert (spec(world)["tls"], why(world)) == (NOBODY, "NoIdentity")
    world.put_pod(pod("github-1", account="github", app="github"))
    assert spec(world) == {
        "protocol": "MCP",
        "host": "github.agents.svc.cluster.local",
        "port": 8080,
        "path": "/mcp",
        "tls": {"mode": "Mesh", "identity": "spiffe://mesh.example/ns/agents/sa/github"},
    }
    assert why(world) == ""
    world.put_pod(pod("github-2", account="other", app="github"))
    assert (spec(world)["tls"], why(world)) == (NOBODY, "AmbiguousIdentity")
    world.put_pod(pod("github-2", account="other", app="github", running=False))
    assert why(world) == ""
    world.remove_service("agents", "github")
    assert why(world) == "ServiceNotFound"


def test_a_service_without_selector_has_no_pods_that_anybody_knows(world) -> None:
    put(world, AGENTIC_BACKEND, "github", agentic_backend())
    world.put_service(service("github", "agents"))
    world.settle()
    assert why(world) == "NoIdentity"


def test_where_it_came_from_is_told(world) -> None:
    put(world, AGENTIC_BACKEND, "github", agentic_backend())
    metadata = documents(compiled(world, TRIAGE))["Backend/agents/github"]["metadata"]
    origin = "XBackend.agentic.networking.x-k8s.io/agents/github"
    assert metadata["annotations"] == {"outrider.dev/origin": origin}


def test_a_host_name_of_the_agentic_group_is_reached_over_tls(world) -> None:
    put(
        world,
        AGENTIC_BACKEND,
        "github",
        {"mcp": {"hostname": "MCP.example.com.", "port": 443, "path": "/x/"}},
    )
    assert spec(world) == {
        "protocol": "MCP",
        "host": "mcp.example.com",
        "port": 443,
        "path": "/x",
        "tls": {"mode": "Public"},
    }


@pytest.mark.parametrize(
    ("port", "more", "tls", "reason"),
    [
        (443, {}, {"mode": "Public"}, ""),
        (80, {}, NOBODY, "TLSNotStated"),
        (80, {"tls": {"mode": "None"}}, {"mode": "None"}, ""),
        (443, {"tls": {"mode": "None"}}, {"mode": "None"}, ""),
        (80, {"tls": {"mode": "ServerOnly"}}, {"mode": "Public"}, ""),
        (
            80,
            {"tls": {"mode": "ClientAndServer", "clientCertificateRef": {"name": "x"}}},
            NOBODY,
            "UnsupportedTLS",
        ),
        (443, {"protocol": "GRPC"}, NOBODY, "UnsupportedProtocol"),
    ],
)
def test_a_host_name_of_gateway_api_is_never_plain_by_default(world, port, more, tls, reason) -> None:
    put(world, GATEWAY_BACKEND, "github", gateway_backend(port=port, **more))
    assert spec(world)["tls"] == tls
    assert why(world, Key(GATEWAY_BACKEND, "agents", "github")) == reason


def test_pods_by_their_labels_are_nowhere_that_an_agent_could_dial(world) -> None:
    selector = {
        "type": "EndpointSelector",
        "endpointSelector": {"matchLabels": {"a": "b"}},
        "port": {"number": 1},
    }
    put(world, GATEWAY_BACKEND, "github", selector)
    offered = world.offered(Key(GATEWAY_BACKEND, "agents", "github"))
    assert isinstance(offered, Unoffered)
    assert offered.reason == "UnsupportedType"
    assert "Backend/agents/github" not in documents(compiled(world, TRIAGE))


OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        ({"created": NEW}, {"created": OLD}, "b"),
        ({"created": OLD}, {"created": NEW}, "a"),
        ({"created": OLD}, {"created": OLD}, "a"),
    ],
)
def test_of_two_at_one_place_the_oldest_has_it_then_the_first_by_name(world, first, second, winner) -> None:
    put(world, BACKEND, "a", backend(), **first)
    put(world, BACKEND, "b", backend(), **second)
    assert {one for one in documents(compiled(world, TRIAGE)) if one.startswith("Backend")} == {
        f"Backend/agents/{winner}"
    }
    loser = Key(BACKEND, "agents", "b" if winner == "a" else "a")
    assert world.shelf("agents").conflicted == {loser: Key(BACKEND, "agents", winner)}
    assert loser in world.stirred
    world.remove(BACKEND, "agents", winner)
    assert f"Backend/agents/{loser.name}" in documents(compiled(world, TRIAGE))


def test_our_own_kind_comes_before_others_of_the_same_age_and_name(world) -> None:
    put(world, AGENTIC_BACKEND, "github", agentic_backend())
    put(world, BACKEND, "github", backend("elsewhere.example"))
    assert spec(world)["host"] == "elsewhere.example"
    assert world.shelf("agents").conflicted == {GITHUB: Key(BACKEND, "agents", "github")}


def test_tcp_claims_every_path_of_its_port(world) -> None:
    tcp = {"protocol": "TCP", "host": "x.example", "port": 1, "tls": {"mode": "Public"}}
    put(world, BACKEND, "a", backend("x.example", 1), created=OLD)
    put(world, BACKEND, "b", tcp, created=NEW)
    put(world, BACKEND, "c", {**tcp, "port": 2}, created=OLD)
    put(world, BACKEND, "d", backend("x.example", 2), created=NEW)
    world.settle()
    assert {one.name for one in world.shelf("agents").conflicted} == {"b", "d"}


def test_other_paths_and_other_namespaces_are_no_conflict(world) -> None:
    put(world, BACKEND, "a", backend())
    put(world, BACKEND, "b", backend(path="/other"))
    put(world, BACKEND, "a", backend(), "tools")
    world.settle()
    assert world.shelf("agents").conflicted == {}
    assert isinstance(world.offered(Key(BACKEND, "tools", "a")), Offer)
