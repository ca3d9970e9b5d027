"""What policies of v0alpha0 decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mesh.policy import PolicyInvalid, read_object_alone
from mesh.policy.access.documents import AccessRule, Authorization
from mesh.policy.access.regular import full_match
from mesh.policy.access.rules import CompiledRule
from tests.support.access_policies import GROUP, SOURCE, Asked, Object, access_policy, allow, ask, backend

Asking = Callable[..., Asked]
GRPC = {"protocol": "GRPC", "backendRef": {"name": "authz", "port": 50051}, "grpc": {}}


def older(**authorizations: Object) -> Object:
    """A policy on the XBackend gh, a rule for each authorization by its name."""
    rules = [
        {"name": name, "source": {"type": "SPIFFE", "spiffe": SOURCE}, "authorization": authorization}
        for name, authorization in authorizations.items()
    ]
    spec = {"targetRefs": [{"group": GROUP, "kind": "XBackend", "name": "gh"}], "rules": rules}
    return access_policy("older", spec, version="v0alpha0")


def made() -> Object:
    one = backend()
    one["metadata"]["annotations"] = {"outrider.dev/origin": f"XBackend.{GROUP}/tools/gh"}
    return one


def test_inline_tools_grant_these_tools_and_the_base_protocol(asked: Asking) -> None:
    one = asked(older(tools={"type": "InlineTools", "tools": ["echo"]}), made())
    assert one.call("echo")
    assert one.decide("initialize").allowed
    assert one.decide("tools/list").allowed
    assert not one.call("other")
    assert not one.decide("prompts/get", "echo").allowed


def test_no_tools_are_the_base_protocol_alone(asked: Asking) -> None:
    one = asked(older(none={"type": "InlineTools", "tools": []}), made())
    assert one.decide("initialize").allowed
    assert not one.call("echo")


def test_an_expression_grants_calls_beside_the_base_protocol(asked: Asking) -> None:
    said = {"type": "CEL", "cel": {"expression": "request.mcp.tool_name == 'echo'"}}
    one = asked(older(cel=said), made())
    assert one.decide("initialize").allowed
    assert one.call("echo")
    assert not one.call("other")


def test_what_is_delegated_is_granted_if_the_service_says_yes(asked: Asking) -> None:
    one = asked(older(asked={"type": "ExternalAuth", "externalAuth": GRPC}), made())
    decision = one.decide("tools/call", "anything")
    assert decision.allowed
    assert [check.name for check in decision.checks] == ["XAccessPolicy/tools/older"]
    other = asked(older(asked={"type": "ExternalAuth", "externalAuth": GRPC}), made(), principal=SOURCE + "x")
    assert not other.call("anything")


def test_both_versions_make_one_level(asked: Asking) -> None:
    newer = allow(
        "newer", None, kind="XBackend", target="gh", source={"type": "SPIFFE", "spiffe": SOURCE + "x"}
    )
    objects = older(tools={"type": "InlineTools", "tools": ["echo"]}), newer, made()
    assert not asked(*objects).call("other")
    assert asked(*objects, principal=SOURCE + "x").call("other")


def test_a_rule_whose_expression_is_none_matches_nobody() -> None:
    rule = AccessRule("r", authorization=Authorization(cel="1 +"))
    assert CompiledRule(rule, "x", "cluster.local").key is None


def test_a_service_account_needs_a_namespace_from_somewhere() -> None:
    account = {"type": "ServiceAccount", "serviceAccount": {"name": "x"}}
    policy: Any = allow("a", None, source=account)
    del policy["metadata"]["namespace"]
    with pytest.raises(PolicyInvalid, match=r"serviceAccount\.namespace: missing"):
        read_object_alone(policy)


def test_half_a_surrogate_pair_matches_no_expression() -> None:
    assert not full_match(".*")("\ud800")


def test_an_authorization_is_not_replaced_by_one_of_the_older_version(asked: Asking) -> None:
    senior = older(asked={"type": "ExternalAuth", "externalAuth": GRPC})
    junior = ask("zz", kind="XBackend", target="gh")
    assert not asked(senior, junior, made()).call("x")
