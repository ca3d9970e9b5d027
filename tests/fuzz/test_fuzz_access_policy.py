"""Readers of access policies take any object, and whatever they take can be compiled and asked anything."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy import (
    HttpRequest,
    Policy,
    PolicyInvalid,
    Principal,
    RequestContext,
    compile_policy,
    load_objects,
    read_object_alone,
)
from mesh.policy.access.accept import accept
from mesh.policy.access.documents import AccessPolicy
from mesh.policy.access.level import Trust
from mesh.policy.access.regular import full_match, regular_fault
from tests.support.access_policies import GROUP, SOURCE, allow, ask, backend, cel, inline, standing
from tests.support.fuzzing import examples

XBACKEND = {
    "apiVersion": "gateway.networking.x-k8s.io/v1alpha1",
    "kind": "XBackend",
    "metadata": {"name": "x", "namespace": "tools"},
    "spec": {
        "type": "ExternalHostname",
        "externalHostname": {"hostname": "a.b"},
        "port": {"number": 443},
        "protocol": "MCP",
        "tls": {"mode": "ServerOnly", "validation": {"hostname": "a.b"}},
    },
}
OLDER = {
    "apiVersion": f"{GROUP}/v0alpha0",
    "kind": "XAccessPolicy",
    "metadata": {"name": "o", "namespace": "tools"},
    "spec": {
        "targetRefs": [{"group": GROUP, "kind": "XBackend", "name": "x"}],
        "rules": [
            {
                "name": "r",
                "source": {"type": "SPIFFE", "spiffe": SOURCE},
                "authorization": {"type": "InlineTools", "tools": ["a"]},
            }
        ],
    },
}
FIELDS = {
    "methods": ["POST"],
    "paths": [{"type": "RegularExpression", "value": "/m.p"}],
    "headers": [{"name": "x", "value": "y"}],
    "hosts": ["*.svc"],
    "ports": [8080],
}
SEEDS = [
    allow(
        "a", inline(("tools/call", ["x"]), "prompts", base=True, **FIELDS), None, cel("request.path == '/'")
    ),
    ask("b", inline("tools"), cel("request.mcp.arguments.x == 1")),
    standing(("", "Service", "github")),
    XBACKEND,
    OLDER,
]
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        [
            [],
            {},
            [[]],
            "*",
            "*.",
            "spiffe://",
            "(?P<",
            "x" * 5000,
            "\ud800",
            "\x00",
            "true",
            "a[",
            "[a-",
            "RegularExpression",
        ]
    ),
)


def mutated(draw: Any, value: Any) -> Any:
    if draw(st.integers(0, 25)) == 0:
        return draw(JUNK)
    if isinstance(value, dict):
        made = {key: mutated(draw, item) for key, item in value.items()}
        return made | ({draw(st.text(max_size=8)): draw(JUNK)} if draw(st.integers(0, 25)) == 0 else {})
    if isinstance(value, list):
        return [mutated(draw, item) for item in value] * draw(st.sampled_from([1, 1, 1, 2, 12]))
    return value


@st.composite
def objects(draw: Any) -> Any:
    return mutated(draw, deepcopy(draw(st.sampled_from(SEEDS))))


TEXTS = st.text(max_size=30) | st.sampled_from(["x", "/mcp", "tools/call", "\ud800", "DELETE", "GET"])
CONTEXTS = st.none() | st.builds(
    RequestContext,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | st.integers(0, 65535),
    st.none() | TEXTS,
    st.none() | st.dictionaries(TEXTS, TEXTS, max_size=3),
)


def ask_everything(policy: Policy, method: str, name: str | None, context: RequestContext | None) -> None:
    """Every kind of question; answers that are asked twice stay the same."""
    principal = Principal(SOURCE)
    for target in (*policy.backends, policy.inbound("/mcp"), policy.inbound("/")):
        for http in (None, HttpRequest("GET", "/mcp"), HttpRequest("DELETE", "/x")):
            for arguments in (None, {"x": 1}):
                first = policy.decide(principal, target, method, name, arguments, http, context)
                assert first == policy.decide(principal, target, method, name, arguments, http, context)
                assert first.allowed or not first.checks
        policy.server_request(principal, target, method)
        policy.total(principal, target, "tool")
    policy.meet(principal)


def is_taken(value: Any) -> bool:
    try:
        read = read_object_alone(value)
    except PolicyInvalid as invalid:
        return not (invalid.errors and all(one.line == 0 and one.message for one in invalid.errors))
    if isinstance(read, AccessPolicy):
        for target in read.targets:
            assert list(accept([read], target)) == [read]
    return True


def one_of_a_name(values: list[Any]) -> list[Any]:
    """Documents of one kind and name are no configuration."""
    return list({(one["kind"], one.get("metadata", {}).get("name")): one for one in values}.values())


@given(
    found=st.lists(objects(), max_size=4),
    method=TEXTS,
    name=st.none() | TEXTS,
    context=CONTEXTS,
)
@settings(max_examples=examples(400), deadline=None)
def test_only_policy_invalid_escapes(found: Any, method: str, name: Any, context: Any) -> None:
    taken = [value for value in found if isinstance(value, dict) and is_taken(value)]
    documents = load_objects([*one_of_a_name(taken), backend()])
    for namespace in ("agents", "tools"):
        policy = compile_policy(documents, labels={}, namespace=namespace, trust=Trust("cluster.local"))
        ask_everything(policy, method, name, context)


@given(expression=st.text(max_size=40), value=st.text(max_size=200))
@settings(max_examples=examples(300), deadline=None)
def test_any_text_is_a_regular_expression_or_is_told_why_not(expression: str, value: str) -> None:
    fault = regular_fault(expression)
    if fault is None:
        assert full_match(expression)(value) in (True, False)
    else:
        assert "RE2" in fault
