"""Properties of decisions with access policies: for any policies and any inventory."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy import Narrowing, Policy, Principal, compile_policy, load_objects
from mesh.policy.access.level import Combine, Trust
from mesh.protocol.mcp.lists import filter_result
from tests.support.access_policies import (
    CONTEXT,
    SOURCE,
    Object,
    agent_policy,
    allow,
    ask,
    backend,
    cel,
    inline,
)
from tests.support.fuzzing import examples

TOOLS = ["echo", "get-sum", "get-env", "list", "a/b"]
ME = Principal(SOURCE)
CONTEXTS = [None, CONTEXT, replace(CONTEXT, headers={"x-tenant": "b"}), replace(CONTEXT, host="other")]

METHODS = st.sampled_from(["tools", "tools/call", "tools/list", "prompts", ("tools/call", ["echo", "list"])])
HTTP = st.sampled_from(
    [
        {},
        {},
        {"hosts": ["*.svc"]},
        {"headers": [{"name": "x-tenant", "value": "a"}]},
        {"paths": [{"value": "/mcp"}]},
    ]
)
EXPRESSIONS = st.sampled_from(
    [
        "request.mcp.tool_name.startsWith('get-')",
        "request.headers['x-tenant'] == 'a'",
        "request.mcp.arguments.n > 1",
        "true",
        "nonsense",
    ]
)


@st.composite
def authorizations(draw: Any) -> Any:
    kind = draw(st.sampled_from(["none", "inline", "inline", "inline", "cel"]))
    if kind == "none":
        return None
    if kind == "cel":
        return cel(draw(EXPRESSIONS), **draw(HTTP))
    methods = draw(st.lists(METHODS, max_size=2, unique_by=lambda m: m if isinstance(m, str) else m[0]))
    return inline(*methods, base=draw(st.booleans()), **draw(HTTP))


SOURCES = st.sampled_from(
    [
        None,
        None,
        {"type": "SPIFFE", "spiffe": SOURCE},
        {"type": "SPIFFE", "spiffe": SOURCE + "-other"},
        {"type": "ServiceAccount", "serviceAccount": {"name": "triage", "namespace": "agents"}},
    ]
)
TARGETS = st.sampled_from(
    [("Backend", "github"), ("Backend", "github"), ("Gateway", "gw"), ("Service", "github")]
)


@st.composite
def policies(draw: Any, at_least: int = 0, targets: Any = TARGETS) -> list[Object]:
    made = []
    for index in range(draw(st.integers(at_least, 4))):
        kind, target = draw(targets)
        rules = draw(st.lists(authorizations(), max_size=3))
        age = draw(st.integers(0, 2))
        if draw(st.integers(0, 5)) == 0:
            made.append(ask(f"p{index}", *rules, kind=kind, target=target, age=age))
        else:
            source = draw(SOURCES)
            made.append(allow(f"p{index}", *rules, kind=kind, target=target, source=source, age=age))
    return made


AGENT_RULES = st.sampled_from(
    [
        {"tools": {"allow": ["*"]}},
        {"tools": {"allow": ["get-*"], "deny": ["get-env"]}},
        {"tools": {"allow": ["echo"]}},
        {"tools": {"allow": ["*"]}, "arguments": [{"tool": "get-*", "require": "args.n > 1"}]},
        {},
    ]
)


@st.composite
def own_policies(draw: Any) -> list[Object]:
    rules = draw(st.lists(AGENT_RULES, max_size=2))
    mode = draw(st.sampled_from(["enforce", "enforce", "observe"]))
    if not rules:
        return []
    return [agent_policy({"mode": mode, "outbound": [{"backend": "tools/github", **rule} for rule in rules]})]


def compiled(objects: list[Object], narrowing: Narrowing | None = None, combine: str = "any") -> Policy:
    trust = Trust("cluster.local", combine=Combine(combine))
    documents = load_objects([*objects, backend()])
    return compile_policy(documents, labels={}, namespace="agents", narrowing=narrowing, trust=trust)


def allowed(policy: Policy, context: Any = CONTEXT, arguments: Any = None) -> set[str]:
    """The tools that may be called."""
    target = policy.route("github.tools.svc", 8080, "/mcp").backend
    if target is None:
        return set()
    return {
        t for t in TOOLS if policy.decide(ME, target, "tools/call", t, arguments, context=context).allowed
    }


def shown(policy: Policy, context: Any) -> list[str]:
    """The tools that a list shows."""
    target = policy.route("github.tools.svc", 8080, "/mcp").backend
    if target is None:
        return []
    filtered = filter_result(
        {"tools": [{"name": tool} for tool in TOOLS]},
        lambda subject: policy.shows(ME, target, subject.method, subject.name, context).allowed,
        total=lambda kind: policy.total(ME, target, str(kind)),
    )
    return [tool["name"] for tool in filtered.result["tools"]]


CONTEXT_CHOICES = st.sampled_from(CONTEXTS)
BOUNDED = settings(max_examples=examples(150), deadline=None)


@given(found=policies(), own=own_policies(), context=CONTEXT_CHOICES)
@BOUNDED
def test_a_list_shows_what_some_arguments_may_call(found: Any, own: Any, context: Any) -> None:
    policy = compiled([*found, *own])
    for_some = (
        allowed(policy, context, {"n": 2}) | allowed(policy, context, {"n": 0}) | allowed(policy, context)
    )
    assert set(shown(policy, context)) == for_some


@given(found=policies(), own=own_policies(), context=CONTEXT_CHOICES)
@BOUNDED
def test_what_is_total_is_shown_whole_in_every_context(found: Any, own: Any, context: Any) -> None:
    policy = compiled([*found, *own])
    target = policy.route("github.tools.svc", 8080, "/mcp").backend
    if target is not None and policy.total(ME, target, "tool"):
        assert shown(policy, context) == TOOLS
        assert allowed(policy, context) == set(TOOLS)


@given(
    found=policies(),
    own=own_policies(),
    context=CONTEXT_CHOICES,
    tools=st.sampled_from(["*/get-*", "x/*", "*/*"]),
)
@BOUNDED
def test_a_narrowing_never_allows_more(found: Any, own: Any, context: Any, tools: str) -> None:
    wide = allowed(compiled([*found, *own]), context, {"n": 2})
    for narrowing in (
        Narrowing(tools_allow=((tools,),)),
        Narrowing(tools_deny=(tools,)),
        Narrowing(policies=frozenset({"triage"})),
        Narrowing(policies=frozenset({"other"})),
        Narrowing(enforce=True),
    ):
        assert allowed(compiled([*found, *own], narrowing), context, {"n": 2}) <= wide


@given(
    backends=policies(1, st.just(("Backend", "github"))),
    gateways=policies(1, st.just(("Gateway", "gw"))),
    context=CONTEXT_CHOICES,
)
@BOUNDED
def test_levels_are_anded(backends: Any, gateways: Any, context: Any) -> None:
    for one in gateways:
        one["metadata"]["name"] = f"g{one['metadata']['name']}"
    if not all(any(p["spec"]["action"] == "Allow" for p in level) for level in (backends, gateways)):
        return
    both = allowed(compiled([*backends, *gateways]), context)
    assert both == allowed(compiled(backends), context) & allowed(compiled(gateways), context)


@given(found=policies(2, st.just(("Backend", "github"))), context=CONTEXT_CHOICES)
@BOUNDED
def test_within_a_target_grants_are_a_union(found: Any, context: Any) -> None:
    grants = [one for one in found if one["spec"]["action"] == "Allow"]
    union = set().union(*(allowed(compiled([one]), context) for one in grants))
    assert allowed(compiled(grants), context) == union
    every = (
        set(TOOLS).intersection(*(allowed(compiled([one]), context) for one in grants)) if grants else set()
    )
    assert allowed(compiled(grants, combine="all"), context) == every


@given(found=policies(), own=own_policies(), context=CONTEXT_CHOICES, seed=st.integers(0, 9))
@BOUNDED
def test_the_order_of_documents_does_not_matter(found: Any, own: Any, context: Any, seed: int) -> None:
    objects = [*found, *own]
    shuffled = list(objects)
    random.Random(seed).shuffle(shuffled)
    assert allowed(compiled(objects), context) == allowed(compiled(shuffled), context)


@given(
    found=policies(1, st.just(("Backend", "github"))),
    own=own_policies(),
    context=CONTEXT_CHOICES,
    more=authorizations(),
)
@BOUNDED
def test_another_allow_policy_takes_no_grant_away(found: Any, own: Any, context: Any, more: Any) -> None:
    if not any(one["spec"]["action"] == "Allow" for one in found):
        return
    added = allow("zz", more)
    assert allowed(compiled([*found, *own]), context) <= allowed(compiled([*found, *own, added]), context)


@given(found=policies(), own=own_policies())
@BOUNDED
def test_less_is_known_less_is_allowed(found: Any, own: Any) -> None:
    policy = compiled([*found, *own])
    known = (allowed(policy, context) for context in CONTEXTS[1:])
    assert allowed(policy, None) <= set.intersection(*known)


@given(found=policies(), own=own_policies(), context=CONTEXT_CHOICES)
@BOUNDED
def test_what_is_remembered_is_what_is_worked_out(found: Any, own: Any, context: Any) -> None:
    policy = compiled([*found, *own])
    once = [allowed(policy, c, {"n": 2}) for c in CONTEXTS]
    again = [allowed(policy, c, {"n": 2}) for c in reversed(CONTEXTS)]
    assert once == again[::-1]
    assert allowed(compiled([*found, *own]), context, {"n": 2}) == once[CONTEXTS.index(context)]
