"""What is written down about traffic: bounded labels, lines by choice, and nothing secret."""

from __future__ import annotations

import tracemalloc
from typing import Literal

import pytest

from mesh.policy.decision import Decision
from mesh.policy.principal import Principal
from mesh.reasons import Reason
from sidecar.telemetry import names
from sidecar.telemetry.log import MAX_TEXT
from sidecar.telemetry.record import MAX_LINE_BYTES, MAX_LINES
from tests.support.fakes import recorder

PASSED = Decision(True, Reason.ALLOWED, "AgentPolicy/triage outbound[0] tools.allow[0]")
REFUSED = Decision(False, Reason.TOOL_NOT_GRANTED, "AgentPolicy/triage outbound[0]")
OBSERVED = Decision(True, Reason.TOOL_NOT_GRANTED, "AgentPolicy/triage outbound[0]", observed=True)

PEER = "spiffe://test.mesh/ns/agents/sa/triage"
ASKING = Principal(PEER)


@pytest.mark.parametrize(
    ("method", "label"),
    [
        ("tools/call", "tools/call"),
        ("notifications/cancelled", "notifications/cancelled"),
        ("http", "http"),
        ("stream", "stream"),
        ("connect", "connect"),
        ("secret/method", "other"),
        ("", "other"),
        ("x" * 10_000, "other"),
    ],
)
def test_only_known_methods_become_labels(method: str, label: str) -> None:
    written, _ = recorder()
    written.decision("outbound", ASKING, "github", method, None, PASSED)
    assert written.metrics.value(names.REQUESTS, ("outbound", "github", label, Reason.ALLOWED)) == 1


def test_names_that_callers_choose_make_no_new_series() -> None:
    written, _ = recorder()
    for number in range(1000):
        peer = f"spiffe://test.mesh/{number}"
        written.decision("inbound", Principal(peer), "application", f"m/{number}", f"tool{number}", REFUSED)
        written.refused_message("client", peer, Reason.JSON_MALFORMED, f"detail {number}")
        written.upstream_failure("github", f"host{number}:80", Reason.UPSTREAM_RESET, f"detail {number}")
        written.handshake("inbound", peer, Reason.PEER_UNTRUSTED, f"detail {number}")
    samples = [line for line in written.metrics.exposition().splitlines() if not line.startswith("#")]
    assert len(samples) < 60


@pytest.mark.parametrize(
    ("decisions", "logged"),
    [("all", [True, True, True]), ("refused", [False, True, True]), ("none", [False, False, False])],
)
def test_which_decisions_are_logged_is_a_choice_and_all_are_counted(
    decisions: Literal["all", "refused", "none"], logged: list[bool]
) -> None:
    for decision, expected in zip((PASSED, REFUSED, OBSERVED), logged, strict=True):
        written, lines = recorder(decisions)
        written.decision("outbound", ASKING, "github", "tools/call", "search", decision)
        assert (lines.events() == ["decision"]) is expected
        counted = written.metrics.value(names.REQUESTS, ("outbound", "github", "tools/call", decision.reason))
        assert counted == 1


@pytest.mark.parametrize("times", [1, 3])
def test_a_decision_says_who_asked_for_what_and_which_rule_decided(times: int) -> None:
    written, lines = recorder()
    for _ in range(times):
        written.decision("outbound", ASKING, "github", "tools/call", "drop", REFUSED)
    assert len(lines.lines) == times
    for event, fields in lines.lines:
        assert event == "decision"
        assert fields == {
            "allowed": False,
            "reason": "tool_not_granted",
            "direction": "outbound",
            "agent": "agents/triage",
            "peer": PEER,
            "backend": "github",
            "method": "tools/call",
            "name": "drop",
            "rule": "AgentPolicy/triage outbound[0]",
        }


def test_decisions_that_differ_in_anything_are_told_apart() -> None:
    written, lines = recorder()
    written.decision("outbound", ASKING, "github", "tools/call", "a", PASSED)
    written.decision("outbound", ASKING, "github", "tools/call", "b", PASSED)
    written.decision("outbound", ASKING, "github", "tools/call", "a", REFUSED)
    written.decision("outbound", ASKING, "github", "tools/call", "a", OBSERVED)
    written.decision("inbound", ASKING, "github", "tools/call", "a", PASSED)
    written.decision("outbound", Principal("other"), "github", "tools/call", "a", PASSED)
    written.decision("outbound", ASKING, "github", "tools/call", None, PASSED)
    assert len({repr(fields) for _, fields in lines.lines}) == 7
    assert [fields.get("observed") for _, fields in lines.lines] == [None, None, None, True, None, None, None]


def test_more_decisions_than_are_remembered_are_all_written() -> None:
    written, lines = recorder()
    for number in range(3000):
        written.decision("outbound", ASKING, "github", "tools/call", f"tool{number}", PASSED)
    assert [fields["name"] for _, fields in lines.lines] == [f"tool{number}" for number in range(3000)]


@pytest.mark.parametrize("length", [MAX_LINE_BYTES, 200_000])
def test_names_of_any_length_leave_memory_bounded(length: int) -> None:
    written, lines = recorder()
    tracemalloc.start()
    try:
        for number in range(MAX_LINES - 1):
            name = f"{number:0{length}}"
            written.decision("outbound", ASKING, "github", "tools/call", name, REFUSED)
            written.decision("outbound", ASKING, "github", name, None, REFUSED)
            lines.lines.clear()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Twice: the key holds a name as it was sent, the line holds it cut.
    assert kept < 2 * MAX_LINES * MAX_LINE_BYTES


def test_a_refusal_that_was_only_observed_is_counted_beside() -> None:
    written, _ = recorder()
    written.decision("outbound", ASKING, "github", "tools/call", "drop", OBSERVED)
    assert written.metrics.value(names.OBSERVED, ("outbound", "github", Reason.TOOL_NOT_GRANTED)) == 1


def test_long_names_are_cut_in_lines() -> None:
    written, lines = recorder()
    written.decision("outbound", ASKING, "github", "m" * 10_000, "n" * 10_000, PASSED)
    ((_, fields),) = lines.lines
    assert (len(str(fields["method"])), len(str(fields["name"]))) == (MAX_TEXT, MAX_TEXT)


@pytest.mark.parametrize(("decisions", "lines_"), [("all", 1), ("refused", 0), ("none", 0)])
def test_hidden_items_are_counted_and_logged_where_passes_are(
    decisions: Literal["all", "refused", "none"], lines_: int
) -> None:
    written, lines = recorder(decisions)
    written.hidden("outbound", PEER, "github", "tool", 3)
    written.hidden("outbound", PEER, "github", "tool", 2)
    assert written.metrics.value(names.HIDDEN_ITEMS, ("outbound", "github", "tool")) == 5
    assert lines.events() == ["hidden"] * 2 * lines_


@pytest.mark.parametrize("decisions", ["all", "refused", "none"])
def test_faults_are_always_logged(decisions: Literal["all", "refused", "none"]) -> None:
    written, lines = recorder(decisions)
    written.refused_message("client", PEER, Reason.JSON_MALFORMED, "d")
    written.upstream_failure("github", "h:80", Reason.UPSTREAM_RESET, "d")
    written.handshake("inbound", PEER, Reason.PEER_UNTRUSTED, "d")
    assert lines.events() == ["refused_message", "upstream_failure", "handshake"]
    assert {fields["agent"] for _, fields in lines.lines} == {"agents/triage"}


@pytest.mark.parametrize(("decisions", "lines_"), [("all", 1), ("refused", 0)])
def test_handshakes_that_succeed_are_logged_where_passes_are(
    decisions: Literal["all", "refused"], lines_: int
) -> None:
    written, lines = recorder(decisions)
    written.handshake("outbound", PEER, Reason.ALLOWED)
    assert len(lines.lines) == lines_
    assert written.metrics.value(names.HANDSHAKES, ("outbound", Reason.ALLOWED)) == 1


@pytest.mark.parametrize("direction", ["outbound", "inbound"])
def test_the_time_of_an_answer_is_observed(direction: str) -> None:
    written, _ = recorder()
    written.seconds(direction, 0.2)
    text = written.metrics.exposition()
    assert f'outrider_request_duration_seconds_count{{direction="{direction}"}} 1' in text
    assert f'outrider_request_duration_seconds_sum{{direction="{direction}"}} 0.2' in text
