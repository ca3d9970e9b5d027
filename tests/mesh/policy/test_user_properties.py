"""Invariants of decisions on behalf of users, over arbitrary small policies whose rules ask about them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mesh.policy import (
    AgentPolicy,
    Backend,
    BackendProtocol,
    BackendTls,
    Decision,
    Documents,
    HttpRequest,
    Narrowing,
    Policy,
    Principal,
    TlsMode,
    compile_policy,
)
from mesh.policy.documents import (
    ArgumentRule,
    InboundRule,
    McpGrant,
    Mode,
    Names,
    OutboundRule,
    ServerRequest,
)
from mesh.policy.principal import User
from mesh.protocol.mcp.lists import filter_result

ID = "spiffe://td/ns/a/sa/me"
TLS = BackendTls(TlsMode.NONE)
BACKENDS = (
    Backend("x", None, BackendProtocol.MCP, "x.svc", 80, "/", TLS),
    Backend("web", None, BackendProtocol.HTTP, "web.svc", 80, "/", TLS),
)
PATHS = ["/mcp", "/mcp/x", "*"]
TOOLS = ["a", "ab", "b", "c", "a b"]
SCOPES = [frozenset[str](), frozenset("r"), frozenset("w"), frozenset("rw")]
USERS = [
    None,
    *(
        User(issuer, subject, held)
        for issuer in ("https://i", "https://j")
        for subject in "ab"
        for held in SCOPES
    ),
]

entries = st.lists(st.sampled_from(["a", "ab", "b", "a b", "a*", "*"]), max_size=2).map(tuple)
sections = st.none() | st.builds(Names, entries, entries)
arguments = st.sampled_from([(), (), (ArgumentRule("a*", "args.x == 1"),)])
grants = st.builds(
    McpGrant, sections, sections, st.none(), unknown_methods=st.booleans(), arguments=arguments
)
asked = st.none() | st.frozensets(st.sampled_from(list(ServerRequest)))
about = st.sampled_from(
    [(), ("https://i#a",), ("https://i#*",), ("*#b",), ("*#*",), ("https://j#a", "https://i#b")]
)
wanted = st.sampled_from(SCOPES)
outbound = st.lists(
    st.builds(OutboundRule, st.sampled_from(["x", "web", "*"]), grants, asked, about, wanted), max_size=10
)
inbound = st.none() | st.lists(
    st.builds(
        InboundRule,
        st.sampled_from([("*",), ("spiffe://td/ns/b/*",)]),
        st.none() | grants,
        st.booleans(),
        st.sampled_from(["/mcp", "/"]),
        about,
        wanted,
    ),
    max_size=4,
).map(tuple)
policies = st.builds(
    AgentPolicy,
    name=st.just(""),
    namespace=st.none(),
    mode=st.sampled_from(list(Mode)),
    outbound=outbound.map(tuple),
    inbound=inbound,
)
documents = st.lists(policies, min_size=1, max_size=3).map(
    lambda found: Documents(
        BACKENDS, tuple(replace(policy, name=f"p{index}") for index, policy in enumerate(found))
    )
)
narrowings = st.sampled_from(
    [None, Narrowing(frozenset({"p0"})), Narrowing(frozenset({"p1", "p2"}), enforce=True)]
)
users = st.sampled_from(USERS)


def build(found: Documents, narrowing: Narrowing | None = None) -> Policy:
    return compile_policy(found, labels={}, namespace=None, narrowing=narrowing)


def answers(policy: Policy, user: User | None) -> dict[tuple[object, ...], Decision]:
    """The decisions on every question these tests know, by question."""
    me = Principal(ID, user)
    questions = [("tools/call", name) for name in TOOLS]
    questions += [("prompts/get", "a"), ("ping", None), ("x/y", None), ("tools/list", None)]
    found: dict[tuple[object, ...], Decision] = {}
    for where in (*BACKENDS, *PATHS):
        target = policy.inbound(where) if isinstance(where, str) else where
        for method, name in questions:
            for given_arguments in (None, {"x": 1}):
                found[where, method, name, given_arguments is None] = policy.decide(
                    me, target, method, name, given_arguments
                )
        for verb in ("GET", "POST"):
            found[where, verb] = policy.decide(me, target, "http", http=HttpRequest(verb, "/"))
        for kind in ServerRequest:
            found[where, kind] = policy.server_request(me, target, kind)
    return found


def passing(policy: Policy, user: User | None) -> set[tuple[object, ...]]:
    return {question for question, decision in answers(policy, user).items() if decision.allowed}


@given(documents, narrowings, users)
def test_a_list_holds_what_this_user_may_call_and_nothing_else(
    found: Documents, narrowing: Narrowing | None, user: User | None
) -> None:
    policy, me = build(found, narrowing), Principal(ID, user)
    for where in (BACKENDS[0], *PATHS):
        target = policy.inbound(where) if isinstance(where, str) else where
        filtered = filter_result(
            {"tools": [{"name": name} for name in TOOLS]},
            lambda subject, target=target: policy.shows(me, target, subject.method, subject.name).allowed,
            total=lambda kind, target=target: policy.total(me, target, kind),
        )
        left = {tool["name"] for tool in filtered.result["tools"]}
        assert left == {name for name in TOOLS if policy.shows(me, target, "tools/call", name).allowed}
        callable_ = {
            name
            for name in TOOLS
            if any(
                policy.decide(me, target, "tools/call", name, one).allowed
                for one in (None, {"x": 1}, {"x": 2})
            )
        }
        assert left == callable_


@given(documents, narrowings, users, st.sampled_from(SCOPES))
def test_fewer_scopes_never_allow_more(
    found: Documents, narrowing: Narrowing | None, user: User | None, fewer: frozenset[str]
) -> None:
    if user is not None:
        less = replace(user, scopes=user.scopes & fewer)
        policy = build(found, narrowing)
        assert passing(policy, less) <= passing(policy, user)


@given(documents, narrowings, users)
def test_no_user_never_allows_more_than_some_user(
    found: Documents, narrowing: Narrowing | None, user: User | None
) -> None:
    policy = build(found, narrowing)
    assert passing(policy, None) <= passing(policy, user)


@given(documents, narrowings, users)
def test_conditions_on_users_never_let_more_pass(
    found: Documents, narrowing: Narrowing | None, user: User | None
) -> None:
    def without(policy: AgentPolicy) -> AgentPolicy:
        inside = policy.inbound
        return replace(
            policy,
            outbound=tuple(replace(rule, users=(), scopes=frozenset()) for rule in policy.outbound),
            inbound=None
            if inside is None
            else tuple(replace(rule, users=(), scopes=frozenset()) for rule in inside),
        )

    free = replace(found, policies=tuple(map(without, found.policies)))
    assert passing(build(found, narrowing), user) <= passing(build(free, narrowing), user)


@given(documents, narrowings, st.lists(users, min_size=2, max_size=4))
def test_the_memory_of_answers_does_not_mix_users(
    found: Documents, narrowing: Narrowing | None, asking: list[User | None]
) -> None:
    shared = build(found, narrowing)
    first = [answers(shared, user) for user in asking]
    assert first == [answers(shared, user) for user in asking]
    assert first == [answers(build(found, narrowing), user) for user in asking]


@given(documents, narrowings, users)
def test_what_is_total_for_a_user_is_allowed_whole(
    found: Documents, narrowing: Narrowing | None, user: User | None
) -> None:
    policy, me = build(found, narrowing), Principal(ID, user)
    for where in (*BACKENDS, *PATHS):
        target = policy.inbound(where) if isinstance(where, str) else where
        for kind, method in (("tool", "tools/call"), ("prompt", "prompts/get")):
            if policy.total(me, target, kind):
                for name in ("a", "ab", "b", "c"):
                    decision = policy.decide(me, target, method, name)
                    assert decision.allowed
                    assert not decision.observed


@given(documents, narrowings, users)
def test_a_peer_that_may_do_something_for_some_user_may_connect(
    found: Documents, narrowing: Narrowing | None, user: User | None
) -> None:
    policy, me = build(found, narrowing), Principal(ID, user)
    met = policy.meet(Principal(ID)).allowed
    assert policy.meet(me).allowed is met
    inside = [policy.decide(me, policy.inbound(path), "tools/call", "a").allowed for path in PATHS]
    assert met or not any(inside)
