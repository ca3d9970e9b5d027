from __future__ import annotations

import json
from pathlib import Path

import pytest

HOLD = """\
- {agent: agents/triage, backend: github, tool: get_issue, allowed: true}
- {agent: agents/triage, backend: github, tool: delete_list, allowed: false, rule: "tools.deny[0]"}
- {agent: agents/triage, backend: github, method: ping, allowed: true}
- {agent: agents/triage, from: "spiffe://cluster.local/ns/agents/sa/orchestrator", tool: ask, allowed: true}
"""


def test_what_holds_ends_with_0(outrider, manifests, write) -> None:
    code, out, _ = outrider("test", manifests, "--expect", write("expect.yaml", HOLD))
    assert code == 0
    assert "4 of 4 expectations hold" in out


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            "{agent: agents/triage, backend: github, tool: merge, allowed: true}",
            "it is refused, by AgentPolicy/triage outbound[0] tools.allow (tool_not_granted)",
        ),
        (
            "{agent: agents/triage, backend: github, tool: list_x, allowed: false}",
            "it is allowed, by AgentPolicy/triage outbound[0] tools.allow[1] (allowed)",
        ),
        (
            "{agent: agents/triage, backend: github, tool: list_x, allowed: true, rule: other}",
            "not by other",
        ),
        (
            "{agent: agents/nobody, backend: github, tool: a, allowed: true}",
            "there is no agent agents/nobody",
        ),
        ("{agent: agents/triage, backend: gitlab, tool: a, allowed: true}", "sees no Backend gitlab"),
    ],
)
def test_each_failure_is_explained(outrider, manifests, write, line, words) -> None:
    code, out, _ = outrider("test", manifests, "--expect", write("expect.yaml", f"- {line}\n"), "-o", "json")
    assert code == 1
    (row,) = json.loads(out)
    assert not row["ok"]
    assert words in row["failure"]


def test_every_fault_of_the_file_is_told(outrider, manifests, write) -> None:
    text = """\
- {agent: agents/triage, backend: github, tool: a, prompt: b, allowed: yes please}
- {agnet: agents/triage, from: x, tool: a, allowed: true, arguments: [], time: noon}
- text
"""
    code, _, err = outrider("test", manifests, "--expect", write("expect.yaml", text))
    assert code == 2
    for words in (
        "[0].allowed: write true or false",
        "[0]: write one of tool",
        "[1].agnet: unknown",
        "[1].agent",
        "[1].arguments",
        "[1].time",
        "[2]: expected a mapping",
    ):
        assert words in err


@pytest.mark.parametrize("text", ["", "{}", "[]", "a: 1"])
def test_an_empty_file_expects_nothing_and_is_an_error(outrider, manifests, write, text) -> None:
    code, _, err = outrider("test", manifests, "--expect", write("expect.yaml", text))
    assert code == 2
    assert "expected a list" in err


def test_observe_is_not_a_refusal(outrider, write, manifests) -> None:
    text = Path(manifests).read_text().replace("spec:\n  selector", "spec:\n  mode: observe\n  selector")
    expect = write("e.yaml", "- {agent: agents/triage, backend: github, tool: merge, allowed: false}\n")
    code, out, _ = outrider("test", write("observe.yaml", text), "--expect", expect)
    assert code == 1
    assert "because nothing enforces" in out
