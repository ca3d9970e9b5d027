"""What an XAccessPolicy is without what does not concern a sidecar, and that it comes to the same there."""

from __future__ import annotations

import msgspec
import pytest

from mesh.policy.access.accept import accept
from mesh.policy.load import load_objects, read_object_alone
from tests.support.control_world import (
    DOMAINS,
    access_policy,
    backend,
    compiled,
    documents,
    empty_world,
    pod,
    put,
    service,
)
from webhook.distribution.judging import judge
from webhook.distribution.kinds import ACCESS_POLICY, BACKEND, GATEWAY
from webhook.distribution.world import World

TRIAGE = pod(app="triage")
OURS = {"gatewayClassName": "outrider"}
OF_GATEWAY = {"kind": "Gateway", "group": "gateway.networking.k8s.io"}
OF_BACKEND = {"kind": "Backend", "group": "outrider.dev"}
NOBODY = "spiffe://mesh.example/ns/agents/sa/_nobody"
GUARD = "XAccessPolicy/agents/guard"


@pytest.fixture
def world() -> World:
    made = World(DOMAINS, read_object_alone, judge)
    made.put_pod(TRIAGE)
    put(made, BACKEND, "github", backend())
    return made


def guard(world: World, of=TRIAGE) -> dict:
    return documents(compiled(world, of))[GUARD]["spec"]


def names(spec: dict) -> list[str]:
    return [one["name"] for one in spec["targetRefs"]]


def test_a_gateway_is_a_target_only_while_it_is_ours(world) -> None:
    spec = access_policy("ours", "agents/triage", **OF_GATEWAY)
    spec["targetRefs"] = [{**OF_GATEWAY, "name": name} for name in ("ours", "theirs", "missing")]
    put(world, GATEWAY, "ours", OURS)
    put(world, GATEWAY, "theirs", {"gatewayClassName": "other"})
    put(world, ACCESS_POLICY, "guard", spec)
    assert names(guard(world)) == ["ours"]
    put(world, GATEWAY, "theirs", OURS, generation=2)
    assert names(guard(world)) == ["ours", "theirs"]
    world.remove(GATEWAY, "agents", "ours")
    assert names(guard(world)) == ["theirs"]
    world.remove(GATEWAY, "agents", "theirs")
    assert GUARD not in documents(compiled(world, TRIAGE))


def test_who_only_calls_is_told_of_nobody_else(world) -> None:
    put(world, ACCESS_POLICY, "guard", access_policy("github", "agents/triage", "x/y", "*", **OF_BACKEND))
    assert [one["name"] for one in guard(world)["rules"]] == ["rule-0", "rule-2"]


def test_a_policy_that_is_left_without_rules_matches_nobody_and_closes_its_target(world) -> None:
    put(world, ACCESS_POLICY, "guard", access_policy("github", "x/y", **OF_BACKEND))
    spec = guard(world)
    assert [one["source"]["spiffe"] for one in spec["rules"]] == [NOBODY]
    assert read_access(world).rules


def test_a_policy_without_rules_stays_one(world) -> None:
    put(world, ACCESS_POLICY, "guard", access_policy("github", **OF_BACKEND))
    assert "rules" not in guard(world)


def test_who_stands_behind_the_target_is_told_all(world) -> None:
    put(world, ACCESS_POLICY, "guard", access_policy("github", "x/y", "agents/triage", **OF_BACKEND))
    world.put_service(service("github", "tools", app="github"))
    world.put_service(service("triage", "agents", app="triage"))
    put(world, BACKEND, "github", backend("triage.agents.svc"), generation=2)
    assert len(guard(world)["rules"]) == 2


def test_identities_of_another_form_may_be_those_of_anybody_in_the_trust_domain(world) -> None:
    sources = ("spiffe://mesh.example/build/1", "spiffe://elsewhere.example/build/1")
    put(world, ACCESS_POLICY, "guard", access_policy("github", *sources, **OF_BACKEND))
    assert [one["name"] for one in guard(world)["rules"]] == ["rule-0"]


def read_access(world: World):
    given = [msgspec.json.decode(one.body) for one in compiled(world, TRIAGE).documents]
    (found,) = load_objects(given).access_policies
    return found


def older(*rules: dict) -> dict:
    return {"targetRefs": [{**OF_GATEWAY, "name": "ours"}], "rules": list(rules)}


CEL = {"type": "CEL", "cel": {"expression": "request.nothing.of.that"}}
FOREIGN = {"type": "SPIFFE", "spiffe": "spiffe://mesh.example/ns/x/sa/y"}


def test_acceptance_comes_to_the_same_where_the_fault_is_in_a_rule_for_others(world) -> None:
    spec = access_policy("github", "agents/triage", "x/y", **OF_BACKEND)
    spec["rules"][1]["authorization"] = CEL
    put(world, ACCESS_POLICY, "guard", spec)
    read = read_access(world)
    (verdict,) = accept([read], read.targets[0]).values()
    assert verdict.reason == "InvalidCEL"
    assert "nothing.of.that" not in str(guard(world))


def test_an_external_authorization_of_the_older_version_stays_one() -> None:
    world = empty_world()
    world.put_pod(TRIAGE)
    put(world, BACKEND, "github", backend("x.tools.svc"), "tools")
    put(world, GATEWAY, "ours", OURS, "tools")
    asked = {"protocol": "HTTP", "backendRef": {"name": "auth", "port": 1}, "http": {}}
    rules = (
        {"name": "asks", "source": FOREIGN, "authorization": {"type": "ExternalAuth", "externalAuth": asked}},
        {
            "name": "mine",
            "source": {"type": "ServiceAccount", "serviceAccount": {"name": "triage", "namespace": "agents"}},
        },
    )
    put(world, ACCESS_POLICY, "guard", older(*rules), "tools")
    read = read_access(world)
    assert read.external_auth is not None
    assert [rule.source for rule in read.rules if rule.delegated] == [NOBODY.replace("agents", "tools")]


def test_what_is_equal_is_one_document_for_all(world) -> None:
    twin = pod("triage-2", app="other")
    world.put_pod(twin)
    put(world, ACCESS_POLICY, "guard", access_policy("github", "agents/triage", "x/y", **OF_BACKEND))
    one, other = (
        next(d for d in compiled(world, of).documents if d.key.kind is ACCESS_POLICY) for of in (TRIAGE, twin)
    )
    assert one is other
