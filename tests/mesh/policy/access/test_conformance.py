"""The nine conformance cases of kube-agentic-networking (profile Gateway), as decisions.

Their fixtures: a Gateway, behind it one MCP server with the tools get-sum, get-env and echo; callers are told
apart by their certificates. What needs a cluster (status within two minutes) is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import HttpRequest, RequestContext, read_object_alone
from mesh.policy.access.accept import AcceptedReason, accept
from mesh.policy.access.documents import GATEWAY_GROUP, AccessPolicy, TargetRef
from tests.support.access_policies import Asked, Object, allow, ask, inline

Asking = Callable[..., Asked]
GATEWAY = TargetRef(GATEWAY_GROUP, "Gateway", "tools", "conformance-primary")
TESTER = "spiffe://cluster.local/ns/agentic-conformance-infra/sa/conformance-tester-sa"


def on_gateway(made: Object) -> Object:
    made["spec"]["targetRefs"] = [{"group": GATEWAY_GROUP, "kind": "Gateway", "name": GATEWAY.name}]
    return made


def read(*made: Object) -> list[AccessPolicy]:
    found = [read_object_alone(one) for one in made]
    return [one for one in found if isinstance(one, AccessPolicy)]


def test_a_policy_is_accepted() -> None:
    verdicts = accept(read(on_gateway(allow("a", inline("tools")))), GATEWAY)
    assert [(v.accepted, v.reason) for v in verdicts.values()] == [(True, AcceptedReason.ACCEPTED)]


def test_allow_policies_are_accepted() -> None:
    verdicts = accept(read(*(on_gateway(allow(name, None)) for name in "abc")), GATEWAY)
    assert [v.accepted for v in verdicts.values()] == [True] * 3


def test_base_protocol_methods_match(asked: Asking) -> None:
    one = asked(
        on_gateway(allow("a", inline(("tools/call", ["some-other-tool"]), base=True))), principal=TESTER
    )
    assert one.decide("initialize").allowed
    assert one.decide("tools/list").allowed
    assert not one.call("some-tool")
    gone = RequestContext("DELETE", headers={"mcp-session-id": "1"})
    assert one.decide("http", http=HttpRequest("DELETE", "/mcp"), context=gone).allowed


def test_base_protocol_methods_are_skipped(asked: Asking) -> None:
    one = asked(on_gateway(allow("a", inline(("tools/call", ["some-other-tool"])))), principal=TESTER)
    assert not one.decide("initialize").allowed
    assert one.call("some-other-tool")


@pytest.mark.parametrize(
    "source",
    [
        {
            "type": "ServiceAccount",
            "serviceAccount": {"name": "conformance-tester-sa", "namespace": "agentic-conformance-infra"},
        },
        {"type": "SPIFFE", "spiffe": TESTER},
    ],
)
def test_the_source_is_matched(asked: Asking, source: Object) -> None:
    policy = on_gateway(allow("a", inline(("tools/call", ["get-sum"]), base=True), source=source))
    one = asked(policy, principal=TESTER)
    assert one.call("get-sum", {"a": 2, "b": 3})
    assert not one.call("echo")
    assert not asked(policy, principal=TESTER.replace("tester", "other")).call("get-sum")


def test_an_external_authorization_is_accepted() -> None:
    verdicts = accept(read(on_gateway(ask("gate"))), GATEWAY)
    assert [v.reason for v in verdicts.values()] == [AcceptedReason.ACCEPTED]


def test_a_second_external_authorization_is_rejected() -> None:
    verdicts = accept(read(on_gateway(ask("junior")), on_gateway(ask("senior", age=1))), GATEWAY)
    assert {policy.name: verdict.reason for policy, verdict in verdicts.items()} == {
        "senior": AcceptedReason.ACCEPTED,
        "junior": AcceptedReason.LIMIT,
    }


def test_the_service_and_the_rules_both_have_to_agree(asked: Asking) -> None:
    """The service would say yes to initialize, get-sum and get-env; the rules to the base protocol and get-sum."""
    agreed = {("initialize", None), ("tools/call", "get-sum"), ("tools/call", "get-env")}
    one = asked(
        on_gateway(ask("gate")), on_gateway(allow("a", inline(("tools/call", ["get-sum"]), base=True)))
    )

    def passes(method: str, name: str | None) -> bool:
        decision = one.decide(method, name)
        assert not decision.allowed or decision.checks
        return decision.allowed and (method, name) in agreed

    assert passes("initialize", None)
    assert passes("tools/call", "get-sum")
    assert not passes("tools/call", "get-env")
    assert not passes("tools/call", "echo")
