"""What must come of rotation and of HTTPS: pure functions from what was seen to findings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cli.demo.cast import NOTES_HOST, PUBLIC_HOST, PUBLIC_PORT, SPARE_HOST, TRIAGE
from cli.demo.certificates import Certificate
from cli.demo.findings import Finding, contains, equal, shown
from cli.demo.judgements import EVERY_TOOL, NOTE, brief, unknown_tool
from cli.demo.processes import Record
from cli.demo.visits import Call, Visit, Work
from mesh.reasons import Reason

WELCOME = "Triage goes by severity."
READ: Call = ("read_note", {"name": "welcome"})

PUBLIC_GRANTED = EVERY_TOOL[:2]
PUBLIC_REFUSED = "delete_note"
PUBLIC_CALLS: tuple[Call, ...] = (READ, (PUBLIC_REFUSED, {"name": NOTE}))


@dataclass(frozen=True, slots=True)
class Rotation:
    """What two sidecars logged of their SVIDs before and after, and the handshake that followed."""

    agent: tuple[Record, Record]
    server: tuple[Record, Record]
    handshake: Record
    before: Certificate | None
    """What a stranger was shown at the server's sidecar."""
    after: Certificate | None


def rotated(rotation: Rotation, work: Work, calls: tuple[int, int]) -> Iterator[Finding]:
    """`calls`: how many the session had made before the rotation, and some time after it was seen."""
    for who, (old, new) in (("agent", rotation.agent), ("server", rotation.server)):
        yield Finding(
            f"The {who}'s sidecar has a new SVID, of the same identity",
            _is_new(old, new),
            f"not {_serial(old)}, {shown(old.get('spiffe_id'))}",
            f"{_serial(new)}, {shown(new.get('spiffe_id'))}",
            f"serial {_serial(old)} until {_end(old)}, now {_serial(new)} until {_end(new)}",
        )
    yield equal(
        "On the next connection the server's sidecar met the agent's new SVID",
        expected=(TRIAGE.spiffe_id, rotation.agent[1].get("serial", "a new one"), Reason.ALLOWED),
        seen=tuple(rotation.handshake.get(name) for name in ("peer", "serial", "reason")),
        evidence=f"handshake side=inbound serial={_serial(rotation.handshake)} reason=allowed",
    )
    yield equal(
        "Whoever connects is shown the SVID of the server that is in force: first the old, then the new",
        expected=tuple(one.get("serial", "one") for one in rotation.server),
        seen=tuple(one and one.serial for one in (rotation.before, rotation.after)),
        evidence=f"shown to a stranger: {' then '.join(map(_serial, rotation.server))}",
    )
    before, since = calls
    yield Finding(
        "The agent's session went on calling all the while, and no call failed",
        work.failed is None and dict(work.answers) == {WELCOME: work.calls} and 0 < before < since,
        "the same answer to every call, before and after the SVIDs changed",
        work.failed or f"{shown(dict(work.answers))}; calls: {before} before, {since - before} after",
        f"{work.calls} calls in one session of MCP {work.version}: {before} before the identity server was told "
        f"to rotate, {work.calls - before} since; each answered {WELCOME!r}",
    )


def _is_new(old: Record, new: Record) -> bool:
    return bool(
        old
        and new
        and old["serial"] != new["serial"]
        and old["spiffe_id"] == new["spiffe_id"]
        and old["not_after"] <= new["not_after"]
    )


def _serial(record: Record) -> str:
    """Its beginning: enough to tell one from the other."""
    return str(record["serial"])[:8] if record.get("serial") else "nothing"


def _end(record: Record) -> str:
    return str(record.get("not_after", ""))[11:19]


def public_server(direct: Visit, agent: Visit, after: Visit) -> Iterator[Finding]:
    """The lists and calls at an HTTPS server. `direct` and `after` asked it past every sidecar."""
    yield equal(
        f"{PUBLIC_HOST} has four tools; the agent, over HTTPS, sees the two that policy grants there",
        expected=(EVERY_TOOL, PUBLIC_GRANTED),
        seen=tuple(visit.failed or visit.tools for visit in (direct, agent)),
        evidence=shown(agent.tools),
    )
    yield equal(
        "A call that is granted answers",
        expected=WELCOME,
        seen=agent.outcome(READ[0]),
        evidence=f"{READ[0]}: {agent.outcome(READ[0])}",
    )
    yield equal(
        "A call that is not is refused inside the encrypted session",
        expected=unknown_tool(PUBLIC_REFUSED),
        seen=agent.outcome(PUBLIC_REFUSED),
        evidence=agent.outcome(PUBLIC_REFUSED),
    )
    yield contains("It never reached the server: the note is still there", expected=NOTE, seen=_notes(after))


def _notes(visit: Visit) -> str:
    return visit.outcome("list_notes")


def certificates(
    seen: Certificate | None, real: Certificate | None, authority: Certificate | None, handshake: Record
) -> Iterator[Finding]:
    """Whose certificate the agent's program was shown, what its issuer may do, and who checked the real one."""
    signer = authority.subject.rpartition(" ")[2] if authority else "an authority"
    yield equal(
        "The certificate that the agent's program saw and believed is its sidecar's, for that host only",
        expected=((PUBLIC_HOST,), f"Outrider interception {signer}", "not the server's own"),
        seen=(seen.names, seen.issuer, _whose(seen, real)) if seen else None,
        evidence=f"{seen.names[0]}, issued by {seen.issuer}" if seen and seen.names else "",
    )
    declared = (NOTES_HOST, SPARE_HOST, PUBLIC_HOST)
    yield equal(
        "That authority, made when the sidecar started, can vouch for declared hosts and for nothing else",
        expected=sorted(declared),
        seen=sorted(authority.limited_to) if authority and authority.limited_to is not None else None,
        evidence=f"X.509 name constraints, critical: {', '.join(sorted(declared))}",
    )
    yield equal(
        "The server's own certificate was checked by the sidecar, on a connection of its own",
        expected=(f"{PUBLIC_HOST}:{PUBLIC_PORT}", Reason.ALLOWED),
        seen=(handshake.get("peer"), handshake.get("reason")),
        evidence=brief(handshake),
    )


def _whose(seen: Certificate, real: Certificate | None) -> str:
    return "the server's own" if real is None or seen.serial == real.serial else "not the server's own"


def undeclared(visit: Visit, line: Record) -> Iterator[Finding]:
    """The same URL from a workload of which no policy declares that host."""
    reached = shown(visit.tools) if visit.tools else "no tools"
    yield equal(
        "The same URL is refused where no document declares it: the impostor gets no connection",
        expected=("no tools", True, Reason.EGRESS_DENIED),
        seen=(reached, "403" in (visit.failed or ""), line.get("reason")),
        evidence=f"{visit.failed}; {brief(line)}",
    )
