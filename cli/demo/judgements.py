"""What must come of each thing that is tried: pure functions from what was seen to findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    yield equal("The server has four tools", expected=EVERY_TOOL, seen=visit.failed or visit.tools)
    everything = ((PROMPT,), (RESOURCE,))
    yield equal(
        "and a prompt and a resource",
        expected=everything,
        seen=visit.failed or (visit.prompts, visit.resources),
    )


def seen_by_agent(visit: Visit) -> Iterator[Finding]:
    """The lists of one session through the sidecar."""
    era = f"MCP {visit.version}"
    yield equal(f"{era}: the agent sees the three tools of its policy", expected=GRANTED, seen=_seen(visit))
    yield equal(f"{era}: and the prompt", expected=(PROMPT,), seen=visit.prompts)
    yield equal(f"{era}: no resource, since its policy grants none", expected=(), seen=visit.resources)


def _seen(visit: Visit) -> object:
    return visit.failed or visit.tools


def done_by_agent(visit: Visit, era: str) -> Iterator[Finding]:
    """The calls of one session through the sidecar."""
    prefix = f"MCP {visit.version}"
    answer = visit.outcome("read_note")
    yield equal(
        f"{prefix}: read_note is allowed, and answers",
        expected="Triage goes by severity.",
        seen=answer,
        evidence=answer,
    )
    refusal = visit.outcome(REFUSED)
    yield equal(
        f"{prefix}: {REFUSED} is refused, in words that do not say that it exists",
        expected=unknown_tool(REFUSED),
        seen=refusal,
        evidence=refusal,
    )
    guess = visit.outcome(GUESSED)
    yield equal(
        f"{prefix}: {GUESSED}, a guess, gets the same answer",
        expected=unknown_tool(GUESSED),
        seen=guess,
        evidence=guess,
    )
    yield equal(
        f"{prefix}: the session goes on after that: write_note works",
        expected=f"wrote triage-{era}",
        seen=visit.outcome("write_note"),
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


def fake_server(visit: Visit, line: Record) -> Iterator[Finding]:
    """A server that answers at a Backend's address and proves another identity than the Backend's."""
    yield contains(
        "The agent gets no answer from a server that proves another identity, and is told so",
        expected=Reason.PEER_WRONG_IDENTITY.sentence,
        seen=visit.failed,
        evidence=shown(visit.failed),
    )
    yield equal(
        "Its sidecar broke off before it sent a request",
        expected=Reason.PEER_WRONG_IDENTITY,
        seen=line.get("reason"),
    )
    yield contains(
        "and says whom it met", expected=FAKE_NOTES.spiffe_id, seen=brief(line), evidence=brief(line)
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


_TOLD = ("event", "side", "direction", "peer", "method", "name", "allowed", "reason", "rule", "detail")


def brief(line: Record) -> str:
    """A log line without time and agent, in the order that a reader wants."""
    return shown({key: line[key] for key in _TOLD if key in line})
