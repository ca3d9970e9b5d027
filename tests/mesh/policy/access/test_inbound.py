"""Access policies at the server's end: this workload stands behind their targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mesh.policy import INBOUND, HttpRequest, Inbound, Principal
from mesh.reasons import Reason
from tests.support.access_policies import (
    CONTEXT,
    SOURCE,
    Asked,
    Object,
    agent_policy,
    allow,
    ask,
    backend,
    cel,
    inline,
    standing,
)

Asking = Callable[..., Asked]
STANDING = standing(
    ("", "Service", "github"),
    ("outrider.dev", "Backend", "github"),
    ("gateway.networking.k8s.io", "Gateway", "gw"),
)


def may(one: Asked, method: str, name: str | None = None, path: str = "/mcp") -> bool:
    return one.policy.decide(one.principal, one.policy.inbound(path), method, name).allowed


@pytest.mark.parametrize(
    ("kind", "target"), [("Service", "github"), ("Backend", "github"), ("Gateway", "gw")]
)
def test_policies_of_what_it_stands_behind_decide_alone(asked: Asking, kind: str, target: str) -> None:
    policy = allow("a", inline(("tools/call", ["x"]), base=True), kind=kind, target=target)
    one = asked(policy, STANDING, backend(), namespace="tools")
    assert may(one, "tools/call", "x")
    assert may(one, "initialize")
    assert not may(one, "tools/call", "y")
    assert one.policy.meet(one.principal).allowed


def test_without_any_there_is_no_inbound_rule(asked: Asking) -> None:
    one = asked(STANDING, backend(), allow("a", None, target="jira"), namespace="tools")
    refused = one.policy.decide(one.principal, one.policy.inbound("/mcp"), "ping")
    assert refused.reason == Reason.NO_INBOUND_RULE
    assert not one.policy.meet(one.principal).allowed


def test_without_standing_there_a_policy_does_not_open_it(asked: Asking) -> None:
    one = asked(allow("a", None, kind="Service"), backend(), namespace="tools")
    assert not may(one, "ping")


def test_every_target_has_to_grant(asked: Asking) -> None:
    one = asked(
        allow("s", inline(("tools/call", ["x", "both"])), kind="Service"),
        allow("b", inline(("tools/call", ["y", "both"]))),
        STANDING,
        backend(),
        namespace="tools",
    )
    assert [may(one, "tools/call", tool) for tool in ("x", "y", "both")] == [False, False, True]


def test_a_backends_policies_count_at_its_path_alone(asked: Asking) -> None:
    both = standing(("outrider.dev", "Backend", "a"), ("outrider.dev", "Backend", "b"))
    one = asked(
        allow("pa", inline(("tools/call", ["x"])), target="a"),
        allow("pb", inline(("tools/call", ["y"])), target="b"),
        both,
        backend("a", path="/a"),
        backend("b", path="/b"),
        namespace="tools",
    )
    assert [may(one, "tools/call", tool, "/a/mcp") for tool in "xy"] == [True, False]
    assert [may(one, "tools/call", tool, "/b") for tool in "xy"] == [False, True]
    assert one.policy.inbound("/c") is INBOUND
    assert not may(one, "tools/call", "x", "/c")


def test_the_workloads_own_policy_has_to_grant_too(asked: Asking) -> None:
    own = agent_policy({"inbound": [{"from": ["*"], "mcp": {"tools": {"allow": ["x", "y"]}}}]}, "tools")
    one = asked(
        own, allow("s", inline(("tools/call", ["y", "z"])), kind="Service"), STANDING, namespace="tools"
    )
    assert [may(one, "tools/call", tool) for tool in "xyz"] == [False, True, False]
    assert [place.path for place in one.policy.entrances.declared] == ["/mcp"]


def test_a_policy_without_inbound_rules_leaves_it_to_the_targets(asked: Asking) -> None:
    own = agent_policy({"outbound": []}, "tools")
    one = asked(own, allow("s", inline("tools/call"), kind="Service"), STANDING, namespace="tools")
    assert may(one, "tools/call", "x")


def test_a_peer_that_no_rule_names_may_not_even_connect(asked: Asking) -> None:
    source = {"type": "SPIFFE", "spiffe": SOURCE}
    one = asked(allow("a", None, kind="Service", source=source), STANDING, namespace="tools")
    assert one.policy.meet(one.principal).allowed
    assert not one.policy.meet(Principal("spiffe://cluster.local/ns/x/sa/y")).allowed
    assert not one.policy.meet(Principal("unauthenticated")).allowed


def test_a_rule_without_a_source_is_for_verified_identities_alone(asked: Asking) -> None:
    one = asked(allow("a", None, kind="Service"), STANDING, namespace="tools", principal="unauthenticated")
    assert not may(one, "ping")
    assert not one.policy.meet(one.principal).allowed
    assert not one.policy.total(one.principal, one.policy.inbound("/mcp"), "tool")


def test_plain_http_needs_a_rule_without_mcp_restriction(asked: Asking) -> None:
    page = HttpRequest("GET", "/page")
    wide = asked(allow("a", None, kind="Service"), STANDING, namespace="tools")
    based = asked(allow("a", inline(base=True), kind="Service"), STANDING, namespace="tools")
    for one, allowed in ((wide, True), (based, False)):
        target = one.policy.inbound("/page")
        assert isinstance(target, Inbound)
        assert one.policy.decide(one.principal, target, "http", http=page).allowed is allowed


def test_what_the_workload_asks_of_its_callers_needs_a_wide_rule(asked: Asking) -> None:
    for authorization, allowed in ((None, True), (inline("tools"), False)):
        one = asked(allow("a", authorization, kind="Service"), STANDING, namespace="tools")
        place = one.policy.inbound("/mcp")
        assert one.policy.server_request(one.principal, place, "sampling/createMessage").allowed is allowed
        assert one.policy.server_request(one.principal, place, "ping").allowed
        stranger = Principal("spiffe://cluster.local/ns/x/sa/y")
        assert one.policy.server_request(stranger, place, "ping").allowed


def test_where_a_service_would_have_to_be_asked_servers_ask_nothing(asked: Asking) -> None:
    one = asked(allow("a", None), ask("gate"))
    refused = one.policy.server_request(one.principal, one.github, "sampling/createMessage")
    assert (refused.allowed, refused.checks) == (False, ())
    assert one.policy.server_request(one.principal, one.github, "ping").allowed


def test_a_stranger_is_not_even_pinged(asked: Asking) -> None:
    source = {"type": "SPIFFE", "spiffe": SOURCE}
    one = asked(allow("a", None, source=source))
    assert one.policy.server_request(one.principal, one.github, "ping").allowed
    stranger = Principal("spiffe://cluster.local/ns/x/sa/y")
    refused = one.policy.server_request(stranger, one.github, "ping")
    assert refused.reason == Reason.ACCESS_POLICY_NOT_GRANTED


def own_rules(path: str) -> Object:
    """An AgentPolicy of the workload that grants all of MCP at a path."""
    granted = {"path": path, "tools": {"allow": ["*"]}}
    return agent_policy({"inbound": [{"from": [SOURCE], "mcp": granted}]}, "tools")


@pytest.mark.parametrize(
    "granting",
    [
        allow("s", None, kind="Service"),
        allow("g", None, kind="Gateway", target="gw"),
        own_rules("/"),
        own_rules("/mcp"),
    ],
    ids=["service", "gateway", "agent-everywhere", "agent-there"],
)
@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/x"])
def test_who_has_to_be_asked_at_a_path_is_asked_whoever_grants(
    asked: Asking, granting: Object, path: str
) -> None:
    one = asked(granting, ask("gate"), STANDING, backend(), namespace="tools")
    decision = one.policy.decide(one.principal, one.policy.inbound(path), "tools/call", "x")
    assert decision.allowed
    assert [check.name for check in decision.checks] == ["XAccessPolicy/tools/gate"]


@pytest.mark.parametrize("granting", [allow("s", None, kind="Service"), own_rules("/"), own_rules("/mcp")])
def test_what_is_closed_at_a_path_stays_closed_whoever_grants(asked: Asking, granting: Object) -> None:
    closed = ask("gate", cel("nonsense("))
    one = asked(granting, closed, STANDING, backend(), namespace="tools")
    assert not may(one, "tools/call", "x")
    assert not may(one, "ping")


def test_asking_somebody_opens_no_path(asked: Asking) -> None:
    one = asked(ask("gate"), ask("all", kind="Service"), STANDING, backend(), namespace="tools")
    assert not may(one, "ping")
    assert not may(one, "ping", path="/elsewhere")
    assert one.policy.inbound("/elsewhere") is INBOUND
    assert not one.policy.meet(one.principal).allowed
    beside = asked(own_rules("/other"), ask("gate"), STANDING, backend(), namespace="tools")
    assert [may(beside, "tools/call", "x", path) for path in ("/other", "/mcp")] == [True, False]


@pytest.mark.parametrize(
    "authorization",
    [
        inline(hosts=["github.tools.svc"]),
        inline(hosts=["*.tools.svc"]),
        inline(headers=[{"name": "host", "value": "github.tools.svc"}]),
        cel('request.host == "github.tools.svc"'),
        cel('request.headers["host"] == "github.tools.svc"'),
    ],
)
def test_a_peer_cannot_choose_by_its_host_not_to_be_asked_about(asked: Asking, authorization: Object) -> None:
    one = asked(allow("a", None), ask("gate", authorization), STANDING, backend(), namespace="tools")
    place = one.policy.inbound("/mcp")
    for host in ("github.tools.svc", "anything"):
        context = replace(CONTEXT, host=host, headers={"host": host})
        decision = one.policy.decide(one.principal, place, "tools/call", "x", context=context)
        assert decision.allowed
        assert len(decision.checks) == 1
        assert bool(one.decide("tools/call", "x", context=context).checks) == (host != "anything")


def test_a_grant_by_host_is_the_peers_word(asked: Asking) -> None:
    one = asked(allow("a", inline(hosts=["github.tools.svc"])), STANDING, backend(), namespace="tools")
    place = one.policy.inbound("/mcp")
    told = [replace(CONTEXT, host=host) for host in ("github.tools.svc", "anything")]
    found = [one.policy.decide(one.principal, place, "tools/call", "x", context=each) for each in told]
    assert [decision.allowed for decision in found] == [True, False]


@pytest.mark.parametrize(
    ("path", "doubtful"),
    [
        ("/mcp", False),
        ("/mcp/", False),
        ("/mcp/deeper;v=1", False),
        ("/mcpx", False),
        ("/page;jsessionid=1", False),
        ("*", False),
        ("/mcp;v=1", True),
        ("/MCP", True),
        ("/Mcp/deeper", True),
        ("/;x/mcp", True),
        ("/mcp;/deeper", True),
    ],
)
@pytest.mark.parametrize("backends", [allow("b", inline("tools")), ask("gate")])
@pytest.mark.parametrize("granting", [allow("s", None, kind="Service"), own_rules("/")])
def test_another_spelling_of_a_path_with_policies_is_doubtful(
    asked: Asking, granting: Object, backends: Object, path: str, doubtful: bool
) -> None:
    one = asked(granting, backends, STANDING, backend(), namespace="tools")
    assert one.policy.entrances.is_doubtful(path) is doubtful


def test_paths_that_differ_in_case_alone_are_themselves(asked: Asking) -> None:
    one = asked(
        allow("s", None, kind="Service"),
        *(allow(f"p{name}", None, target=name) for name in "ab"),
        *(backend("a", path="/mcp"), backend("b", path="/MCP")),
        standing(
            ("", "Service", "github"), ("outrider.dev", "Backend", "a"), ("outrider.dev", "Backend", "b")
        ),
        namespace="tools",
    )
    found = [one.policy.entrances.is_doubtful(path) for path in ("/mcp", "/MCP", "/Mcp", "/mcp/x")]
    assert found == [False, False, True, False]


def test_without_access_policies_no_path_is_doubtful(asked: Asking) -> None:
    one = asked(own_rules("/mcp"), namespace="tools")
    assert not one.policy.entrances.is_doubtful("/MCP")
