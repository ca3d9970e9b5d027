"""What must come of each thing that is tried: pure functions from what was seen to findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cli.demo.cast import FAKE_NOTES, IMPOSTOR, NOTES, TRIAGE
from cli.demo.findings import Finding, contains, equal, shown
from cli.demo.processes import Record
from cli.demo.visits import Call, Visit
from mesh.reasons import Reason

EVERY_TOOL = ("list_notes", "read_note", "write_note", "delete_note")
GRANTED = EVERY_TOOL[:3]
REFUSED = "delete_note"
GUESSED = "purge_notes"
PROMPT = "summarise_note"
RESOURCE = "notes://keys"
NOTE = "incident-42"


def calls(era: str) -> tuple[Call, ...]:
    """What the agent tries in one session: something allowed, two things that are not, and then goes on."""
    return (
        ("read_note", {"name": "welcome"}),
        (REFUSED, {"name": NOTE}),
        (GUESSED, {}),
        ("write_note", {"name": f"triage-{era}", "text": "Restart the queue."}),
    )


def seen_directly(visit: Visit) -> Iterator[Finding]:
    """The server, asked with nothing in between."""
    yield equal(
        "The server has four tools, a prompt and a resource",
        expected=(EVERY_TOOL, (PROMPT,), (RESOURCE,)),
        seen=visit.failed or (visit.tools, visit.prompts, visit.resources),
    )


def seen_by_agent(visits: Sequence[Visit]) -> Iterator[Finding]:
    """The lists of the sessions through the sidecar, one of each era."""
    yield _each(
        "Clients of both eras see the three tools that the policy grants",
        visits,
        expected=[GRANTED] * len(visits),
        seen=[visit.failed or visit.tools for visit in visits],
    )
    yield _each(
        "They see the prompt that it grants",
        visits,
        expected=[(PROMPT,)] * len(visits),
        seen=[visit.prompts for visit in visits],
    )
    yield _each(
        "They see no resource, because it grants none",
        visits,
        expected=[()] * len(visits),
        seen=[visit.resources for visit in visits],
    )


def done_by_agent(sessions: Mapping[str, Visit]) -> Iterator[Finding]:
    """The calls of the sessions through the sidecar, by era."""
    yield _outcomes(
        "read_note is granted, and answers",
        sessions,
        "read_note",
        ["Triage goes by severity."] * len(sessions),
    )
    yield _outcomes(
        f"{REFUSED} is refused, in words that do not say that there is such a tool",
        sessions,
        REFUSED,
        [unknown_tool(REFUSED)] * len(sessions),
    )
    yield _outcomes(
        f"{GUESSED}, which the server does not have, gets the very same answer",
        sessions,
        GUESSED,
        [unknown_tool(GUESSED)] * len(sessions),
    )
    yield _outcomes(
        "The sessions go on after these refusals: write_note works",
        sessions,
        "write_note",
        [f"wrote triage-{era}" for era in sessions],
    )


def _outcomes(statement: str, sessions: Mapping[str, Visit], tool: str, expected: Sequence[str]) -> Finding:
    visits = list(sessions.values())
    return _each(statement, visits, expected=expected, seen=[visit.outcome(tool) for visit in visits])


def _each(
    statement: str, visits: Sequence[Visit], *, expected: Sequence[object], seen: Sequence[object]
) -> Finding:
    """Holds when it does for every session. As evidence stands what was seen, once where all saw the same."""
    texts = [shown(one) for one in seen]
    names = [f"MCP {visit.version or 'of an unknown version'}" for visit in visits]
    by_era = "; ".join(f"{name}: {text}" for name, text in zip(names, texts, strict=True))
    return Finding(
        statement,
        list(expected) == list(seen),
        "; ".join(f"{name}: {shown(one)}" for name, one in zip(names, expected, strict=True)),
        by_era,
        texts[0] if len(set(texts)) == 1 else by_era,
    )


def unknown_tool(name: str) -> str:
    """The answer that the specification has for a tool that there is none of, as an outcome shows it."""
    return f"error -32602: Unknown tool: {name}"


def left_behind(visit: Visit, eras: Sequence[str]) -> Iterator[Finding]:
    """What the server holds after all that."""
    notes = sorted(["welcome", NOTE, *(f"triage-{era}" for era in eras)])
    answer = visit.outcome("list_notes")
    yield equal(
        "Asked directly, the server has every note, new and old: nothing was deleted",
        expected=", ".join(notes),
        seen=answer,
        evidence=answer,
    )


def reason_logged(line: Record) -> Finding:
    """The agent is told nothing; the operator is told why."""
    return equal(
        "The log of the agent's sidecar says why",
        expected=Reason.TOOL_NOT_GRANTED,
        seen=line.get("reason"),
        evidence=f"{brief(line)}: {Reason.TOOL_NOT_GRANTED.sentence}",
    )


def peers(
    inbound: Record, outbound: Record, decision: Record, server_log: Sequence[Record]
) -> Iterator[Finding]:
    """Who talked to whom, as both sidecars logged it."""
    yield equal(
        "The server's sidecar verified who calls: the agent",
        expected=TRIAGE.spiffe_id,
        seen=inbound.get("peer"),
        evidence=brief(inbound),
    )
    yield equal(
        "The agent's sidecar verified whom it called: the notes server",
        expected=NOTES.spiffe_id,
        seen=outbound.get("peer"),
        evidence=brief(outbound),
    )
    yield equal(
        "Each call is decided for that identity, at the server as well",
        expected=TRIAGE.spiffe_id,
        seen=decision.get("peer"),
        evidence=brief(decision),
    )
    names = {record.get("name") for record in server_log}
    yield equal(
        f"{REFUSED} never left the agent's sidecar: the server's has not heard of it",
        expected=(),
        seen=tuple(names & {REFUSED, GUESSED}),
    )


def without_identity(visit: Visit, line: Record) -> Iterator[Finding]:
    """Plain HTTP to the port for mutual TLS."""
    yield equal(
        "A client without an identity gets no connection to the server",
        expected=("no tools", Reason.TLS_HANDSHAKE),
        seen=(_reached(visit), line.get("reason")),
        evidence=brief(line),
    )


def impostor(visit: Visit, line: Record) -> Iterator[Finding]:
    """A workload of the mesh that nobody granted anything."""
    yield equal(
        "The impostor, whose own policy grants it everything, gets nothing",
        expected="no tools",
        seen=_reached(visit),
        evidence=f"the impostor is told: {visit.failed}",
    )
    yield equal(
        "The server's sidecar says who it was, and why",
        expected=(IMPOSTOR.spiffe_id, Reason.PEER_NOT_ALLOWED),
        seen=(line.get("peer"), line.get("reason")),
        evidence=f"{brief(line)}: {Reason.PEER_NOT_ALLOWED.sentence}",
    )


def fake_server(visit: Visit, line: Record, fake_log: Sequence[Record]) -> Iterator[Finding]:
    """A server that answers at a Backend's address and proves another identity than the Backend's.

    `fake_log`: what the sidecar of that server logged.
    """
    yield contains(
        "The agent gets no answer from a server that proves another identity, and is told so",
        expected=Reason.PEER_WRONG_IDENTITY.sentence,
        seen=visit.failed,
        evidence=shown(visit.failed),
    )
    yield contains(
        "Its sidecar logged whom it met",
        expected=FAKE_NOTES.spiffe_id,
        seen=brief(line),
        evidence=brief(line),
    )
    events = [record["event"] for record in fake_log]
    yield equal(
        "The fake server saw it knock, and never saw a request",
        expected=("handshake",),
        seen=tuple(event for event in events if event in ("handshake", "decision", "refused_message")),
    )


def unknown_destination(visit: Visit) -> Iterator[Finding]:
    """A host that no Backend declares."""
    yield contains(
        "The request is refused, with what would allow it",
        expected=Reason.EGRESS_DENIED.sentence,
        seen=visit.failed,
        evidence=shown(visit.failed),
    )


def _reached(visit: Visit) -> str:
    return shown(visit.tools) if visit.tools or not visit.failed else "no tools"


_TOLD = ("side", "direction", "peer", "method", "name", "allowed", "reason", "rule", "detail")


def brief(line: Record) -> str:
    """A log line without time and agent, in the order that a reader wants."""
    told = {key: line[key] for key in _TOLD if key in line}
    return f"{line['event']} {shown(told)}" if line else shown(None)
