"""What docs/access-policy.md says is what the code does."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mesh.cel import access_policy_variables
from mesh.policy import Policy, Principal, compile_policy, load_texts
from mesh.policy.access.level import Trust
from mesh.policy.access.methods import BASE_METHODS, BASE_PREFIXES
from tests.support.access_policies import CONTEXT, allow, inline

TEXT = (Path(__file__).parents[4] / "docs" / "access-policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
ME = Principal("spiffe://cluster.local/ns/agents/sa/triage")
ROW = re.compile(r"^\| `([a-z/]+)(?: ([a-z_]+))?` \| (\d\d):(\d\d) \| (yes|no) \|$", re.MULTILINE)
ALONE, BOTH = TEXT.split("With an AgentPolicy for the agent as well")


def compiled(*blocks: str, principal: Principal = ME) -> Policy:
    documents = load_texts([(str(index), block) for index, block in enumerate(blocks)])
    return compile_policy(documents, labels={}, namespace="agents", trust=Trust("cluster.local"))


def answered(policy: Policy, row: tuple[str, ...], principal: Principal = ME) -> str:
    method, name, hour, minute, _ = row
    target = policy.route("github.tools.svc.cluster.local", 8080, "/mcp").backend
    assert target is not None
    # Winter time in Berlin is an hour ahead.
    context = replace(CONTEXT, time=datetime(2026, 11, 23, int(hour) - 1, int(minute), tzinfo=UTC))
    return "yes" if policy.decide(principal, target, method, name or None, context=context).allowed else "no"


@pytest.mark.parametrize("row", ROW.findall(ALONE))
def test_the_owner_of_the_server_decides_as_its_table_says(row: tuple[str, ...]) -> None:
    assert answered(compiled(BLOCKS[0]), row) == row[-1]
    other = Principal("spiffe://cluster.local/ns/agents/sa/other")
    assert answered(compiled(BLOCKS[0]), row, other) == "no"


@pytest.mark.parametrize("row", ROW.findall(BOTH))
def test_both_decide_as_their_table_says(row: tuple[str, ...]) -> None:
    assert answered(compiled(*BLOCKS), row) == row[-1]


def test_there_are_rows_and_blocks() -> None:
    assert (len(ROW.findall(ALONE)), len(ROW.findall(BOTH)), len(BLOCKS)) == (7, 5, 2)


def test_the_variables_are_those_of_expressions() -> None:
    rows = re.findall(r"^\| `((?:request|source)\.[a-z_.]+)` \| `([^`]+)` \|", TEXT, re.MULTILINE)
    assert dict(rows) == {name: str(kind) for name, kind in access_policy_variables.items()}


def test_the_base_protocol_is_as_the_table_says() -> None:
    rows = re.findall(r"^\| (.*) \| the base protocol.*\|$", TEXT, re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([a-z]+(?:/[a-z*]+)?)`", row)}
    assert told == {*BASE_METHODS, *(f"{prefix}*" for prefix in BASE_PREFIXES)}


def test_the_headings_that_it_links_to_are_there() -> None:
    for anchor in re.findall(r"\]\(#([a-z-]+)\)", TEXT):
        assert re.search(rf"^## {anchor.replace('-', ' ')}$", TEXT, re.MULTILINE | re.IGNORECASE)


LEVELS = re.findall(r"^\| (some|none) \| (some|none) \| (.*) \|$", TEXT, re.MULTILINE)


@pytest.mark.parametrize(("own", "targets", "said"), LEVELS)
def test_levels_go_together_as_the_table_says(asked: Any, own: str, targets: str, said: str) -> None:
    from tests.support.access_policies import agent_policy

    mine = agent_policy({"outbound": [{"backend": "tools/github", "tools": {"allow": ["a", "both"]}}]})
    theirs = allow("x", inline(("tools/call", ["b", "both"])))
    one = asked(*([mine] if own == "some" else []), *([theirs] if targets == "some" else []))
    granted = {tool for tool in ("a", "b", "both", "c") if one.github and one.call(tool)}
    expected = {
        "AgentPolicies": {"a", "both"},
        "both have to grant": {"both"},
        "each target has to grant": {"b", "both"},
        "refused": set(),
    }
    assert granted == expected[said]


def test_every_combination_of_levels_is_told() -> None:
    assert len(LEVELS) == 4
