"""The section `users` of an AgentPolicy, and `users` and `scopes` of its rules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.identity.jws import ALGORITHMS
from mesh.policy import Documents
from mesh.policy.credentials import ClientAuth, ClientMethod, SecretKey
from mesh.policy.user_auth import DEFAULT_ALGORITHMS, Correlation, Given, Introspection, Issuer, UserAuth

Load = Callable[..., Documents]
Faults = Callable[..., list[str]]
Make = Callable[..., str]


def users(more: str = "", issuer: str = "") -> str:
    return f"{{users: {{issuers: [{{issuer: https://i, audiences: [a]{issuer}}}]{more}}}}}"


def test_what_is_not_written_is_as_the_values_have_it(load: Load, agent_policy: Make) -> None:
    (policy,) = load(agent_policy(users())).policies
    assert policy.users == UserAuth((Issuer("https://i", ("a",)),))
    assert set(DEFAULT_ALGORITHMS) == set(ALGORITHMS)
    assert load(agent_policy("{}")).policies[0].users is None


def test_everything_is_read(load: Load, agent_policy: Make) -> None:
    issuer = (
        ", jwksUri: https://i/keys, algorithms: [ES256], clockSkew: 1500ms, "
        "introspection: {endpoint: https://i/x, "
        "cache: 2m, client: {method: secret-post, id: me, secret: {name: s, key: k}}}"
    )
    more = (
        ", required: false, scopes: [s, t], bypass: [/a, '/b/*'], resource: https://r/mcp, application: token, "
        "correlation: [sole]"
    )
    (policy,) = load(agent_policy(users(more, issuer))).policies
    client = ClientAuth(ClientMethod.SECRET_POST, "me", None, SecretKey("s", "k"))
    introspection = Introspection(client, "https://i/x", 120.0)
    assert policy.users == UserAuth(
        (Issuer("https://i", ("a",), "https://i/keys", ("ES256",), 1.5, introspection),),
        False,
        frozenset("st"),
        ("/a", "/b/*"),
        "https://r/mcp",
        Given.TOKEN,
        frozenset({Correlation.SOLE}),
    )


@pytest.mark.parametrize(
    ("spec", "path", "fault"),
    [
        ("{users: {}}", "issuers", "missing; whose tokens are accepted"),
        ("{users: {issuers: []}}", "issuers", "allowed: 1 to"),
        ("{users: {issuers: [{audiences: [a]}]}}", "issuers[0].issuer", "missing; the issuer (iss)"),
        ("{users: {issuers: [{issuer: https://i}]}}", "issuers[0].audiences", "missing; what tokens for"),
        ("{users: {issuers: [{issuer: https://i, audiences: []}]}}", "issuers[0].audiences", "1 to"),
        (users(issuer=", algorithms: [HS256]"), "issuers[0].algorithms[0]", "HS256 is symmetric"),
        (
            users(issuer=", algorithms: [none]"),
            "issuers[0].algorithms[0]",
            "without a signature proves nothing",
        ),
        (
            users(issuer=", algorithms: [None]"),
            "issuers[0].algorithms[0]",
            "without a signature proves nothing",
        ),
        (
            users(issuer=", algorithms: [RS265]"),
            "issuers[0].algorithms[0]",
            "did you mean RS256?; allowed: RS256",
        ),
        (users(issuer=", algorithms: []"), "issuers[0].algorithms", "allowed: 1 to"),
        (users(issuer=", clockSkew: 6m"), "issuers[0].clockSkew", "6m is out of range; allowed: 0s to 5m"),
        (users(issuer=", clockSkew: soon"), "issuers[0].clockSkew", "no span of time; write it like 30s"),
        (users(issuer=", clockSkew: 30"), "issuers[0].clockSkew", "write it like 30s"),
        (users(issuer=", jwksUri: i"), "issuers[0].jwksUri", "no absolute URL"),
        (
            users(issuer=", introspection: {client: {method: none}}"),
            "issuers[0].introspection.client.method",
            "who asks about tokens proves who they are",
        ),
        (users(issuer=", introspection: {cache: 2h}"), "issuers[0].introspection.cache", "0s to 1h"),
        (users(", scopes: ['a b']"), "scopes[0]", "each scope as an entry"),
        (users(", bypass: ['/*']"), "bypass[0]", "write required: false"),
        (users(", bypass: ['/a*']"), "bypass[0]", "a path is exact, or ends in /*"),
        (users(", bypass: ['/a/../b']"), "bypass[0]", "no empty, . or .. segment"),
        (users(", bypass: [healthz]"), "bypass[0]", "a path begins with /"),
        (users(", application: nothng"), "application", "did you mean nothing?"),
        (users(", correlation: [guess]"), "correlation[0]", "allowed: trace, session, context, sole"),
        (users(", resource: 'https://r#x'"), "resource", "no fragment"),
        (
            "{users: {issuers: [{issuer: https://i, audiences: [a]}, {issuer: https://i, audiences: [b]}]}}",
            "issuers[1]",
            "the same issuer as issuers[0]",
        ),
    ],
)
def test_each_fault_is_told_where_it_is(
    faults: Faults, agent_policy: Make, spec: str, path: str, fault: str
) -> None:
    (found,) = faults(agent_policy(spec))
    assert f"spec.users.{path}: " in found
    assert fault in found


def test_rules_are_for_users_and_scopes(load: Load, backend: Make, agent_policy: Make) -> None:
    about = "users: ['https://i#a', '*#b'], scopes: [r, w]"
    spec = f"{{outbound: [{{backend: github, {about}}}], inbound: [{{from: ['*'], mcp: {{}}, {about}}}]}}"
    (policy,) = load(backend(), agent_policy(spec)).policies
    for rule in (*policy.outbound, *(policy.inbound or ())):
        assert (rule.users, rule.scopes) == (("https://i#a", "*#b"), {"r", "w"})


@pytest.mark.parametrize(
    ("about", "fault"),
    [
        ("users: []", "users: 0 entries; allowed: 1 to"),
        ("scopes: []", "scopes: 0 entries; allowed: 1 to"),
        ("users: [alice]", "users[0]: write ISSUER#SUBJECT"),
        ("users: ['i#alice']", 'users[0]: "i" is no absolute URL'),
        ("scopes: ['a b']", "scopes[0]: "),
    ],
)
def test_conditions_that_say_nothing_are_faults(
    faults: Faults, backend: Make, agent_policy: Make, about: str, fault: str
) -> None:
    (found,) = faults(backend(), agent_policy(f"{{outbound: [{{backend: github, {about}}}]}}"))
    assert f"spec.outbound[0].{fault}" in found
    (found,) = faults(agent_policy(f"{{inbound: [{{from: ['*'], mcp: {{}}, {about}}}]}}"))
    assert f"spec.inbound[0].{fault}" in found
