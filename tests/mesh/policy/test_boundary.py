"""How far a destination may lead that is no Backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import Decision, Policy, compile_policy, load_texts
from mesh.policy.address_space import Space
from mesh.policy.boundary import Boundary, Reach, stops
from mesh.reasons import Reason

Make = Callable[..., str]
Compile = Callable[..., Policy]

PRIVATE = ("10.0.0.1", "127.0.0.1", "169.254.169.254", "168.63.129.16", "fd00:ec2::254", "::1", "224.0.0.1")
"""Addresses as requests spell them: without brackets, IPv4 where IPv6 maps it."""


def bounded(text: str, boundary: Boundary) -> Policy:
    documents = load_texts([("policies.yaml", text)])
    return compile_policy(documents, labels={}, namespace=None, boundary=boundary)


@pytest.mark.parametrize(
    ("reach", "stopped"),
    [
        (Reach.ANYWHERE, set()),
        (Reach.ROUTED, {Space.LINK_LOCAL, Space.METADATA}),
        (Reach.PUBLIC, set(Space)),
        (Reach.OBSERVED, set(Space)),
    ],
)
def test_each_reach_stops_at_its_part_of_the_address_space(reach: str, stopped: set[Space]) -> None:
    assert {space for space in Space if stops(reach, space)} == stopped
    assert not stops(reach, None)


@pytest.mark.parametrize("host", PRIVATE)
def test_egress_allow_does_not_mean_private_addresses(
    compiled: Compile, agent_policy: Make, host: str
) -> None:
    policy = compiled(agent_policy("{egress: allow}"))
    refused = Decision(False, Reason.EGRESS_PRIVATE_ADDRESS, "AgentPolicy/triage egress")
    assert policy.egress(host, 80) == policy.egress(host, 80, "/latest") == refused
    assert policy.egress("1.1.1.1", 80).allowed


def test_a_name_passes_and_is_held_to_public_addresses(compiled: Compile, agent_policy: Make) -> None:
    policy = compiled(agent_policy("{egress: allow}"))
    assert policy.egress("example.com", 443).allowed
    assert policy.reach("example.com", 443) == Reach.PUBLIC


def test_a_backend_declares_its_address_and_only_its_port(
    compiled: Compile, backend: Make, agent_policy: Make
) -> None:
    spec = "{protocol: HTTP, host: 10.0.0.1, port: 8080, path: /api, tls: {mode: None}}"
    policy = compiled(backend("internal", spec), agent_policy("{egress: allow}"))
    assert policy.reach("10.0.0.1", 8080) == Reach.ANYWHERE
    assert policy.egress("10.0.0.1", 8080, "/other").reason is Reason.PATH_NOT_DECLARED
    assert policy.egress("10.0.0.1", 8081).reason is Reason.EGRESS_PRIVATE_ADDRESS


def test_what_the_configuration_names_may_be_anywhere(agent_policy: Make) -> None:
    policy = bounded(agent_policy("{egress: allow}"), Boundary(named={("10.0.0.1", 80), ("a.svc", 80)}))
    assert policy.egress("10.0.0.1", 80).allowed
    assert policy.reach("a.svc", 80) == Reach.ANYWHERE
    assert policy.egress("10.0.0.1", 81).reason is Reason.EGRESS_PRIVATE_ADDRESS
    assert policy.reach("a.svc", 81) == Reach.PUBLIC


def test_the_platform_can_open_private_addresses_and_opens_nothing_else(agent_policy: Make) -> None:
    everywhere = Boundary(private_addresses=True)
    policy = bounded(agent_policy("{egress: allow}"), everywhere)
    assert all(policy.egress(host, 80).allowed for host in PRIVATE)
    assert policy.reach("a.svc", 80) == Reach.ANYWHERE
    closed = bounded(agent_policy("{egress: deny}"), everywhere)
    assert closed.egress("10.0.0.1", 80).reason is Reason.EGRESS_DENIED


def test_observe_records_a_private_address_and_lets_it_pass(compiled: Compile, agent_policy: Make) -> None:
    policy = compiled(agent_policy("{mode: observe, egress: allow}"))
    assert policy.egress("10.0.0.1", 80) == Decision(
        True, Reason.EGRESS_PRIVATE_ADDRESS, "AgentPolicy/triage egress", observed=True
    )
    assert policy.reach("example.com", 80) == Reach.OBSERVED


def test_one_enforcing_policy_holds_the_boundary_for_all(compiled: Compile, agent_policy: Make) -> None:
    policy = compiled(
        agent_policy("{mode: observe, egress: deny}", "watch"), agent_policy("{egress: allow}", "open")
    )
    assert policy.egress("1.1.1.1", 80).observed
    assert policy.egress("10.0.0.1", 80) == Decision(
        False, Reason.EGRESS_PRIVATE_ADDRESS, "AgentPolicy/open egress"
    )
    assert policy.reach("example.com", 80) == Reach.PUBLIC


def test_egress_deny_is_named_before_the_address(compiled: Compile, agent_policy: Make) -> None:
    policy = compiled(agent_policy("{egress: deny}"))
    assert policy.egress("10.0.0.1", 80).reason is Reason.EGRESS_DENIED


def test_without_a_policy_everything_is_closed(compiled: Compile) -> None:
    assert compiled().egress("10.0.0.1", 80).reason is Reason.EGRESS_DENIED
