"""What the demo makes of what it saw: each statement holds for what should happen, and fails for anything else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cli.demo import judgements
from cli.demo.cast import FAKE_NOTES, IMPOSTOR, NOTES, TRIAGE
from cli.demo.findings import Finding
from cli.demo.judgements import EVERY_TOOL, GRANTED, NOTE, PROMPT, REFUSED, RESOURCE
from cli.demo.visits import Outcome, Visit
from mesh.reasons import Reason

DIRECT = Visit("2026-07-28", EVERY_TOOL, (PROMPT,), (RESOURCE,))
AGENT = Visit(
    "2026-07-28",
    GRANTED,
    (PROMPT,),
    (),
    (
        Outcome("read_note", text="Triage goes by severity."),
        Outcome("delete_note", error="Unknown tool: delete_note", code=-32602),
        Outcome("purge_notes", error="Unknown tool: purge_notes", code=-32602),
        Outcome("write_note", text="wrote triage-2026-07-28"),
    ),
)
FAILED = Visit(failed="no route")


def broken(findings: object) -> list[str]:
    assert isinstance(findings, list)
    return [finding.statement for finding in findings if not finding.holds]


def with_outcome(changed: Outcome) -> Visit:
    others = tuple(changed if one.tool == changed.tool else one for one in AGENT.outcomes)
    return replace(AGENT, outcomes=others)


def test_the_server_asked_directly() -> None:
    assert broken([*judgements.seen_directly(DIRECT)]) == []
    assert broken([*judgements.seen_directly(replace(DIRECT, tools=EVERY_TOOL[:2]))])
    assert broken([*judgements.seen_directly(FAILED)])


def test_the_lists_of_the_agent() -> None:
    assert broken([*judgements.seen_by_agent([AGENT, AGENT])]) == []


@pytest.mark.parametrize(
    "seen",
    [
        replace(AGENT, tools=EVERY_TOOL),
        replace(AGENT, prompts=()),
        replace(AGENT, resources=(RESOURCE,)),
        FAILED,
    ],
)
def test_one_era_that_sees_something_else_makes_a_statement_fail(seen: Visit) -> None:
    assert broken([*judgements.seen_by_agent([AGENT, seen])])


def test_evidence_names_the_eras_only_where_they_differ() -> None:
    tools, *_ = judgements.seen_by_agent([AGENT, AGENT])
    assert tools.evidence == "list_notes, read_note, write_note"
    tools, *_ = judgements.seen_by_agent([AGENT, replace(AGENT, version="2025-11-25", tools=("read_note",))])
    assert tools.seen == "MCP 2026-07-28: list_notes, read_note, write_note; MCP 2025-11-25: read_note"


def test_the_calls_of_the_agent() -> None:
    assert broken([*judgements.done_by_agent({"2026-07-28": AGENT})]) == []


@pytest.mark.parametrize(
    "seen",
    [
        with_outcome(Outcome("read_note", error="Unknown tool: read_note", code=-32602)),
        with_outcome(Outcome("delete_note", text="deleted incident-42")),
        with_outcome(Outcome("delete_note", error="not in your policy", code=-32602)),
        with_outcome(Outcome("purge_notes", error="Unknown tool: purge_notes", code=-32601)),
        with_outcome(Outcome("write_note", error="Connection closed", code=-32000)),
        FAILED,
    ],
)
def test_a_call_that_ends_otherwise_makes_a_statement_fail(seen: Visit) -> None:
    assert broken([*judgements.done_by_agent({"2026-07-28": seen})])


def test_the_notes_that_are_left() -> None:
    def left(names: str) -> list[str]:
        visit = Visit(outcomes=(Outcome("list_notes", text=names),))
        return broken([*judgements.left_behind(visit, ["legacy"])])

    assert left(f"{NOTE}, triage-legacy, welcome") == []
    assert left("triage-legacy, welcome")
    assert left(f"{NOTE}, welcome")


def test_the_reason_in_the_log() -> None:
    assert judgements.reason_logged({"event": "decision", "reason": "tool_not_granted"}).holds
    assert not judgements.reason_logged({"event": "decision", "reason": "tool_denied"}).holds
    assert not judgements.reason_logged({}).holds


def by(workload: str) -> dict[str, str]:
    return {"event": "handshake", "peer": workload}


def test_peers_are_who_they_should_be() -> None:
    agent, server = by(TRIAGE.spiffe_id), by(NOTES.spiffe_id)
    read = {"event": "decision", "name": "read_note"}
    assert broken([*judgements.peers(agent, server, agent, [read])]) == []
    for seen in [
        (by(IMPOSTOR.spiffe_id), server, agent, [read]),
        (agent, by(FAKE_NOTES.spiffe_id), agent, [read]),
        (agent, server, {}, [read]),
        (agent, server, agent, [read, {"event": "decision", "name": REFUSED}]),
    ]:
        assert len(broken([*judgements.peers(*seen)])) == 1


def test_without_identity_nothing_is_reached() -> None:
    line = {"event": "handshake", "reason": "tls_handshake"}
    assert broken([*judgements.without_identity(FAILED, line)]) == []
    assert broken([*judgements.without_identity(FAILED, {})])
    assert broken([*judgements.without_identity(DIRECT, line)])
    assert broken([*judgements.without_identity(Visit(), line)])


def test_the_impostor_gets_nothing_and_is_named() -> None:
    line = {"event": "decision", "peer": IMPOSTOR.spiffe_id, "reason": "peer_not_allowed"}
    assert broken([*judgements.impostor(FAILED, line)]) == []
    assert len(broken([*judgements.impostor(DIRECT, line)])) == 1
    assert len(broken([*judgements.impostor(FAILED, {**line, "peer": TRIAGE.spiffe_id})])) == 1


def test_the_fake_server_is_never_asked() -> None:
    visit = Visit(failed=f"notes-spare: {Reason.PEER_WRONG_IDENTITY.sentence}")
    line = {"event": "handshake", "reason": "peer_wrong_identity", "detail": f"is {FAKE_NOTES.spiffe_id}"}
    knock = by(TRIAGE.spiffe_id)
    assert broken([*judgements.fake_server(visit, line, [knock])]) == []
    assert len(broken([*judgements.fake_server(DIRECT, line, [knock])])) == 1
    assert len(broken([*judgements.fake_server(visit, {}, [knock])])) == 1
    assert len(broken([*judgements.fake_server(visit, line, [knock, {"event": "decision"}])])) == 1


def test_the_unknown_destination_is_refused_with_its_remedy() -> None:
    visit = Visit(failed=f"wiki: {Reason.EGRESS_DENIED.sentence}")
    assert broken([*judgements.unknown_destination(visit)]) == []
    assert broken([*judgements.unknown_destination(DIRECT)])


def test_a_log_line_is_told_without_what_a_reader_does_not_need() -> None:
    line = {"time": "now", "event": "decision", "agent": "a", "allowed": False, "peer": "p", "name": "n"}
    assert judgements.brief(line) == "decision peer=p name=n allowed=false"
    assert judgements.brief({}) == "nothing"


def test_evidence_is_there_for_what_an_operator_would_ask() -> None:
    findings: list[Finding] = [*judgements.unknown_destination(Visit(failed=Reason.EGRESS_DENIED.sentence))]
    assert "a Backend document" in findings[0].evidence
