"""An object that cannot be read never replaces one that could, and never widens what others grant."""

from __future__ import annotations

import pytest

from mesh.policy.compile import compile_policy
from mesh.policy.load import load_objects
from tests.support.control_world import (
    access_policy,
    agent_policy,
    backend,
    compiled,
    documents,
    empty_world,
    pod,
    put,
)
from webhook.distribution.entries import Force
from webhook.distribution.kinds import ACCESS_POLICY, AGENT_POLICY, BACKEND, Key
from webhook.distribution.offers import Offer
from webhook.distribution.world import World

TRIAGE = pod(app="triage")
MINE = Key(AGENT_POLICY, "agents", "mine")


@pytest.fixture
def world() -> World:
    made = empty_world()
    made.put_pod(TRIAGE)
    return made


def test_the_last_valid_version_stays_in_force(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "github"))
    before = compiled(world, TRIAGE).version
    put(world, AGENT_POLICY, "mine", {"outbound": "nonsense"}, generation=2)
    assert compiled(world, TRIAGE).version == before
    entry = world.entries[MINE]
    assert entry.force is Force.LAST_VALID
    assert "spec.outbound" in entry.faults[0]
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}), generation=3)
    assert world.entries[MINE].force is Force.STORED
    assert compiled(world, TRIAGE).version != before


def test_what_was_written_down_survives_a_restart(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "github"))
    version = compiled(world, TRIAGE).version
    kept = world.entries[MINE].document
    again = empty_world()
    again.put_pod(TRIAGE)
    put(again, AGENT_POLICY, "mine", {"outbound": "nonsense"}, generation=2)
    assert again.entries[MINE].force is Force.CLOSED
    again.restore({(MINE, "uid-mine"): kept})
    assert again.entries[MINE].force is Force.LAST_VALID
    assert again.entries[MINE].faults != ()
    assert compiled(again, TRIAGE).version == version


def test_an_object_made_anew_is_not_the_one_that_was_valid(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "github"))
    put(world, AGENT_POLICY, "mine", {"outbound": "nonsense"}, uid="other")
    assert world.entries[MINE].force is Force.CLOSED
    kept = {(MINE, "another"): world.entries[MINE].document}
    world.restore(kept)
    assert world.entries[MINE].force is Force.CLOSED


def test_a_policy_that_was_never_valid_refuses_what_it_selects(world) -> None:
    put(world, BACKEND, "github", backend())
    put(world, AGENT_POLICY, "all", agent_policy(None, "*", egress="allow"))
    broken = {"selector": {"matchLabels": {"app": "triage"}}, "outbound": "nonsense"}
    put(world, AGENT_POLICY, "broken", broken)
    given = documents(compiled(world, TRIAGE))
    assert given["AgentPolicy/agents/broken"]["spec"]["selector"] == broken["selector"]
    loaded = load_objects(given.values())
    policy = compile_policy(loaded, labels={"app": "triage"}, namespace="agents")
    from mesh.policy.principal import Principal

    decision = policy.decide(Principal("spiffe://x/y"), policy.backends[0], "tools/call", "search")
    assert not decision.allowed
    assert not policy.egress("elsewhere.example", 443).allowed


def test_a_policy_whose_selector_cannot_be_read_refuses_all_of_its_namespace(world) -> None:
    put(world, AGENT_POLICY, "broken", {"selector": 3})
    assert "AgentPolicy/agents/broken" in documents(compiled(world, TRIAGE))


def test_a_backend_that_was_never_valid_satisfies_no_certificate(world) -> None:
    put(world, BACKEND, "github", {**backend(), "tls": {"mode": "Nonsense"}})
    given = documents(compiled(world, TRIAGE))["Backend/agents/github"]["spec"]
    assert given["tls"] == {"mode": "Mesh", "identity": "spiffe://mesh.example/ns/agents/sa/_nobody"}
    offered = world.offered(Key(BACKEND, "agents", "github"))
    assert isinstance(offered, Offer)
    assert offered.reason == "Invalid"


def test_a_backend_without_a_destination_is_nowhere(world) -> None:
    put(world, BACKEND, "github", {"port": "x"})
    assert "Backend/agents/github" not in documents(compiled(world, TRIAGE))


def test_an_access_policy_that_was_never_valid_closes_its_targets(world) -> None:
    put(world, BACKEND, "github", backend())
    broken = {**access_policy("github", kind="Backend", group="outrider.dev"), "rules": "nonsense"}
    put(world, ACCESS_POLICY, "guard", broken)
    given = documents(compiled(world, TRIAGE))["XAccessPolicy/agents/guard"]["spec"]
    assert [one["source"]["spiffe"] for one in given["rules"]] == [
        "spiffe://mesh.example/ns/agents/sa/_nobody"
    ]


def test_a_status_alone_changes_nothing(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy())
    world.stirred.clear()
    put(world, AGENT_POLICY, "mine", agent_policy(), status={"conditions": []})
    assert world.entries[MINE].status == {"conditions": []}
    assert world.stirred == set()
