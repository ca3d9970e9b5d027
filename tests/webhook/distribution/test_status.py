"""What status says, as a function of what was found and counted."""

from __future__ import annotations

import pytest

from tests.support.control_world import (
    access_policy,
    agent_policy,
    backend,
    empty_world,
    gateway_backend,
    pod,
    put,
)
from webhook.distribution.kinds import (
    ACCESS_POLICY,
    AGENT_POLICY,
    BACKEND,
    GATEWAY,
    GATEWAY_BACKEND,
    Key,
    Kind,
)
from webhook.distribution.reports import Count
from webhook.distribution.status import CONTROLLER, status_of
from webhook.distribution.world import World

NOW = "2026-02-01T00:00:00Z"
OF_GATEWAY = {"kind": "Gateway", "group": "gateway.networking.k8s.io"}


@pytest.fixture
def world() -> World:
    made = empty_world()
    for number in range(3):
        made.put_pod(pod(f"triage-{number}", app="triage"))
    return made


def status(world: World, kind: Kind, name: str, count: Count | None = None, now: str = NOW):
    world.settle()
    return status_of(world.entries[Key(kind, "agents", name)], world, count or Count(), now)


def condition(found, kind: str) -> tuple[str, str]:
    (one,) = [one for one in found["conditions"] if one["type"] == kind]
    return one["status"], one["reason"]


@pytest.mark.parametrize(
    ("count", "applied", "shown"),
    [
        (Count(), ("False", "Pending"), "0/3"),
        (Count(3, {1: 2}), ("False", "Pending"), "0/3"),
        (Count(3, {1: 2, 2: 1}), ("False", "Pending"), "1/3"),
        (Count(3, {2: 3}), ("True", "Applied"), "3/3"),
        (Count(9, {2: 9}), ("True", "Applied"), "3/3"),
        (Count(3, {2: 2}, 1, "why"), ("False", "Refused"), "2/3"),
    ],
)
def test_a_policy_is_applied_once_every_pod_that_it_selects_runs_it(world, count, applied, shown) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}), generation=2)
    found = status(world, AGENT_POLICY, "mine", count)
    assert condition(found, "Applied") == applied
    assert found["appliedTo"] == shown
    assert found["observedGeneration"] == 2


def test_a_policy_that_selects_nobody_is_applied(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "nobody"}))
    assert condition(status(world, AGENT_POLICY, "mine"), "Applied") == ("True", "NoSidecars")


def test_a_date_changes_with_the_status_and_with_nothing_else(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}))
    before = status(world, AGENT_POLICY, "mine")
    entry = world.entries[Key(AGENT_POLICY, "agents", "mine")]
    entry.status = before
    assert status(world, AGENT_POLICY, "mine", now="2027-01-01T00:00:00Z") == before
    after = status(world, AGENT_POLICY, "mine", Count(3, {1: 3}), now="2027-01-01T00:00:00Z")
    dates = {one["type"]: one["lastTransitionTime"] for one in after["conditions"]}
    assert dates == {"Accepted": NOW, "Applied": "2027-01-01T00:00:00Z", "ResolvedRefs": NOW}


def test_what_others_wrote_stays(world) -> None:
    put(world, BACKEND, "github", backend(), status={"conditions": [{"type": "Theirs"}], "more": 1})
    found = status(world, BACKEND, "github")
    assert found["more"] == 1
    assert {one["type"] for one in found["conditions"]} == {"Accepted", "Applied", "Conflicted", "Theirs"}


@pytest.mark.parametrize("odd", ["x", [], {"conditions": 3}, {"ancestors": [3, {"ancestorRef": 4}]}, 5])
def test_a_status_of_any_shape_is_put_right(world, odd) -> None:
    put(world, BACKEND, "github", backend(), status=odd)
    assert condition(status(world, BACKEND, "github"), "Accepted") == ("True", "Accepted")
    put(world, ACCESS_POLICY, "guard", access_policy("github", "*"), status=odd)
    assert status(world, ACCESS_POLICY, "guard")["ancestors"][-1]["controllerName"] == CONTROLLER


def test_an_xbackend_of_gateway_api_has_itself_as_ancestor(world) -> None:
    put(world, GATEWAY_BACKEND, "x", gateway_backend(port=80))
    (ancestor,) = status(world, GATEWAY_BACKEND, "x")["ancestors"]
    assert ancestor["ancestorRef"]["kind"] == "XBackend"
    assert condition(ancestor, "Accepted") == ("False", "TLSNotStated")


def test_gateways_of_others_are_left_to_others(world) -> None:
    put(world, ACCESS_POLICY, "guard", access_policy("mesh", "*", **OF_GATEWAY))
    assert status(world, ACCESS_POLICY, "guard") is None
    world.stirred.clear()
    put(world, GATEWAY, "mesh", {"gatewayClassName": "outrider"})
    assert Key(ACCESS_POLICY, "agents", "guard") in world.stirred
    (ancestor,) = status(world, ACCESS_POLICY, "guard")["ancestors"]
    assert ancestor["ancestorRef"] == {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": "mesh",
        "namespace": "agents",
    }
    assert status(world, GATEWAY, "mesh") is None
    world.entries[Key(ACCESS_POLICY, "agents", "guard")].status = {"ancestors": [ancestor]}
    world.remove(GATEWAY, "agents", "mesh")
    assert status(world, ACCESS_POLICY, "guard") == {"ancestors": []}


def test_a_policy_that_is_not_accepted_says_why(world) -> None:
    put(world, ACCESS_POLICY, "rejected", access_policy("github", "*"))
    (ancestor,) = status(world, ACCESS_POLICY, "rejected")["ancestors"]
    assert condition(ancestor, "Accepted") == ("False", "InvalidCEL")
    put(world, ACCESS_POLICY, "broken", {**access_policy("github"), "rules": 3})
    (ancestor,) = status(world, ACCESS_POLICY, "broken")["ancestors"]
    assert condition(ancestor, "Accepted") == ("False", "Invalid")
    put(world, ACCESS_POLICY, "nothing", {})
    assert status(world, ACCESS_POLICY, "nothing") is None


def test_rules_about_backends_that_are_not_there_are_named(world) -> None:
    put(world, BACKEND, "github", backend())
    named = agent_policy({"app": "triage"}, "github", "githb", "*", "tools/jira", "agents/github")
    put(world, AGENT_POLICY, "mine", named)
    found = status(world, AGENT_POLICY, "mine")
    assert condition(found, "Accepted") == ("True", "Accepted")
    assert condition(found, "ResolvedRefs") == ("False", "BackendNotFound")
    assert message(found, "ResolvedRefs") == (
        "outbound[1] names Backend agents/githb, which is not there; "
        "outbound[3] names Backend tools/jira, which is not there. "
        "A rule has no effect until its Backend is there."
    )


def message(found, kind: str) -> str:
    return next(one["message"] for one in found["conditions"] if one["type"] == kind)


@pytest.mark.parametrize("kind", [BACKEND, GATEWAY_BACKEND])
def test_a_backend_that_comes_or_goes_stirs_who_names_it_and_nobody_else(world, kind) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "tools/github"))
    put(world, AGENT_POLICY, "other", agent_policy({"app": "triage"}, "github"))
    mine, other = Key(AGENT_POLICY, "agents", "mine"), Key(AGENT_POLICY, "agents", "other")
    for change, expected in (
        (lambda: put(world, kind, "github", backend(), "tools"), ("True", "ResolvedRefs")),
        (lambda: world.remove(kind, "tools", "github"), ("False", "BackendNotFound")),
    ):
        world.stirred.clear()
        change()
        assert mine in world.stirred
        assert other not in world.stirred
        assert condition(status(world, AGENT_POLICY, "mine"), "ResolvedRefs") == expected


def test_a_backend_is_told_to_who_names_it_now(world) -> None:
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "github"))
    put(world, AGENT_POLICY, "mine", agent_policy({"app": "triage"}, "jira"), generation=2)
    world.stirred.clear()
    put(world, BACKEND, "github", backend())
    assert Key(AGENT_POLICY, "agents", "mine") not in world.stirred
    world.remove(AGENT_POLICY, "agents", "mine")
    world.stirred.clear()
    put(world, BACKEND, "jira", backend())
    assert Key(AGENT_POLICY, "agents", "mine") not in world.stirred


def test_of_a_policy_that_cannot_be_read_nothing_is_missing(world) -> None:
    put(world, AGENT_POLICY, "mine", {"outbound": 3})
    assert condition(status(world, AGENT_POLICY, "mine"), "ResolvedRefs") == ("True", "ResolvedRefs")
