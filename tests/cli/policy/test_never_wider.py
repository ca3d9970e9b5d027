"""An import never grants what its source refuses, compared with a model of ToolHive written from its own code."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.kubernetes_yaml import dump
from cli.manifests import read_manifests
from cli.policy.agents import Agent
from cli.policy.importing import Options
from cli.policy.judging import judge
from cli.policy.toolhive_import import import_toolhive
from cli.policy.world import World
from mesh.policy import load_texts

TOOLS = ("a", "b", "c", "x", "y")
TOOL = st.sampled_from(TOOLS)
CONDITION = st.sampled_from(["", "", " when { context.arg_n == 1 }", ' unless { principal.claim_r == "x" }'])
PRINCIPAL = st.sampled_from(["principal", "principal", 'principal == Client::"ann"'])


@st.composite
def statement(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "effect": draw(st.sampled_from(["permit", "permit", "forbid"])),
        "principal": draw(PRINCIPAL),
        "tool": draw(st.one_of(st.none(), TOOL)),
        "condition": draw(CONDITION),
    }


def cedar(one: dict[str, Any]) -> str:
    resource = "resource" if one["tool"] is None else f'resource == Tool::"{one["tool"]}"'
    return (
        f'{one["effect"]}({one["principal"]}, action == Action::"call_tool", {resource}){one["condition"]};'
    )


def permitted(statements: list[dict[str, Any]], tool: str) -> bool:
    """For a caller that no named principal is, and with which every condition comes out the worse way."""
    plain = [one for one in statements if one["tool"] in (None, tool)]
    if any(one["effect"] == "forbid" for one in plain):
        return False
    return any(one["principal"] == "principal" and not one["condition"] for one in plain)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(st.none(), st.lists(TOOL, unique=True)),
    st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"]), max_size=1),
    st.one_of(st.none(), st.lists(statement(), min_size=1, max_size=4)),
)
def test_nothing_is_granted_that_toolhive_refuses(
    filtered: list[str] | None, renamed: dict[str, str], statements: list[dict[str, Any]] | None
) -> None:
    spec: dict[str, Any] = {"image": "i", "toolConfigRef": {"name": "c"}}
    if statements is not None:
        spec["authzConfig"] = {"type": "inline", "inline": {"policies": [cedar(one) for one in statements]}}
    overrides = {own: {"name": shown} for own, shown in renamed.items()}
    version = "toolhive.stacklok.dev/v1beta1"
    config = {"toolsFilter": filtered or [], "toolsOverride": overrides}
    documents = [
        {"apiVersion": version, "kind": "MCPServer", "metadata": {"name": "s"}, "spec": spec},
        {"apiVersion": version, "kind": "MCPToolConfig", "metadata": {"name": "c"}, "spec": config},
    ]
    found = import_toolhive(
        read_manifests(yaml.safe_dump_all(documents), "t"), Options("agents", {}, None, "HTTP", "/", "None")
    )
    world = World(load_texts([("o", "---\n".join(map(dump, found.documents)))]), [])
    agent = Agent("agents", "a", {})
    own = {shown: one for one, shown in renamed.items()}
    for tool in TOOLS:
        passes = not filtered or tool in filtered
        if passes and statements is not None:
            passes = permitted(statements, own.get(tool, tool))
        for backend in world.backends(agent):
            assert not judge(world, agent, backend, "tool", tool).passes or passes
