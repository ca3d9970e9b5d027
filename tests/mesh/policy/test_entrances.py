from __future__ import annotations

from collections.abc import Callable

import pytest

from mesh.policy import INBOUND, Policy

Make = Callable[..., str]
Compile = Callable[..., Policy]


def rules(*paths: str) -> str:
    listed = ", ".join(
        f"{{from: ['spiffe://td/{i}'], mcp: {{path: {path}}}}}" for i, path in enumerate(paths)
    )
    return f"{{inbound: [{listed}]}}"


@pytest.mark.parametrize(
    ("path", "declared"),
    [
        ("/a", "/a"),
        ("/a/", "/a"),
        ("/a/c", "/a"),
        ("/a/b", "/a/b"),
        ("/a/b/c", "/a/b"),
        ("/a/bc", "/a"),
        ("/ab", None),
        ("/A", None),
        ("/", None),
        ("*", None),
        ("/x", "/x"),
    ],
)
def test_the_longest_declared_path_of_all_policies_is_meant(
    compiled: Compile, agent_policy: Make, path: str, declared: str | None
) -> None:
    policy = compiled(agent_policy(rules("/a", "/a/b"), "one"), agent_policy(rules("/x", "/a"), "two"))
    assert policy.inbound(path).path == declared
    assert policy.inbound(path) is policy.inbound(path)


def test_the_root_covers_every_path_and_not_the_asterisk(compiled: Compile, agent_policy: Make) -> None:
    policy = compiled(agent_policy(rules("/")))
    assert policy.inbound("/").path == policy.inbound("/x/y").path == "/"
    assert policy.inbound("*") is INBOUND


def test_a_path_that_is_not_written_is_mcp(compiled: Compile, agent_policy: Make) -> None:
    policy = compiled(agent_policy("{inbound: [{from: ['*'], mcp: {}}]}"))
    assert [inbound.path for inbound in policy.entrances.declared] == ["/mcp"]


@pytest.mark.parametrize(
    ("spec", "only"),
    [
        (rules("/a", "/a/"), "/a"),
        (rules("/a", "/b"), None),
        ("{inbound: [{from: ['*'], http: {allow: true}}]}", None),
        ("{inbound: []}", None),
        ("{}", None),
    ],
)
def test_the_only_path_is_the_one_that_every_rule_means(
    compiled: Compile, agent_policy: Make, spec: str, only: str | None
) -> None:
    assert compiled(agent_policy(spec)).entrances.only.path == only
