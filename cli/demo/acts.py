"""The story: what is tried, one act after the other. Each act shows what it saw and returns its findings."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from cli.demo import certificates, change_judgements, control, judgements, tls_judgements
from cli.demo.admission import admit
from cli.demo.cast import (
    ERAS,
    IMPOSTOR,
    LEGACY,
    MODERN,
    NOTES_HOST,
    PUBLIC_HOST,
    PUBLIC_PORT,
    PUBLIC_URL,
    SPARE_HOST,
    TRIAGE,
    UNKNOWN_HOST,
    url,
)
from cli.demo.certificates import Certificate, shown_at
from cli.demo.change_judgements import CHANGE_SECONDS, EVERYTHING, LESS, TAKEN, WRITE, Change
from cli.demo.documents import misspelt, pod, without, write_pods
from cli.demo.findings import Finding
from cli.demo.judgements import EVERY_TOOL, PROMPT, REFUSED, RESOURCE, calls
from cli.demo.screen import Screen
from cli.demo.stage import Stage
from cli.demo.tls_judgements import PUBLIC_CALLS, READ, Rotation
from cli.demo.visits import Sight, Visit, Watching
from cli.demo.yaml_diff import diff
from mesh.reasons import Reason

Findings = list[Finding]

CALLS_BETWEEN = 20
"""That the session makes before and after the SVIDs change."""


def pod_gets_a_sidecar(screen: Screen, folder: Path) -> Findings:
    """Admission, without a cluster."""
    screen.heading("The agent's pod, before and after admission")
    admitted = admit(pod(), control.roots(folder))
    write_pods(folder, admitted.before, admitted.after)
    screen.diff(diff(admitted.before, admitted.after, width=screen.width - 2, hidden=_HIDDEN))
    return _show(screen, admitted.findings)


# Fields of the sidecar's container that add nothing to the picture.
_HIDDEN = frozenset({"imagePullPolicy", "readinessProbe", "livenessProbe", "terminationMessagePolicy"})


async def agent_sees_less(screen: Screen, stage: Stage) -> tuple[Findings, dict[str, Visit]]:
    """The same server, asked directly and through the sidecar by clients of both eras."""
    screen.heading("What the server has, and what the agent sees of it")
    with screen.progress("asking the server"):
        direct = await stage.neighbour.visit(stage.direct, MODERN)
        sessions = {era: await stage.agent.visit(url(NOTES_HOST), era, *calls(era)) for era in ERAS}
    visits = [direct, *sessions.values()]
    screen.table(
        ["", "the server has", *(f"agent sees, MCP {visit.version}" for visit in sessions.values())],
        [[name, *("yes" if _has(visit, name) else "" for visit in visits)] for name in _ROWS],
    )
    found = [*judgements.seen_directly(direct), *judgements.seen_by_agent(list(sessions.values()))]
    return _show(screen, found), sessions


_ROWS = (*EVERY_TOOL, PROMPT, RESOURCE)


def _has(visit: Visit, name: str) -> bool:
    return name in (*visit.tools, *visit.prompts, *visit.resources)


async def agent_may_do_less(screen: Screen, stage: Stage, sessions: dict[str, Visit]) -> Findings:
    """Calls that the policy allows, and calls that it does not."""
    screen.heading("What the agent may do")
    found = [*judgements.done_by_agent(sessions)]
    line = await stage.triage.logged(event="decision", name=REFUSED, allowed=False)
    after = await stage.neighbour.visit(stage.direct, MODERN, ("list_notes", {}))
    found += [judgements.reason_logged(line), *judgements.left_behind(after, list(sessions))]
    return _show(screen, found)


async def both_ends_know_each_other(screen: Screen, stage: Stage) -> Findings:
    """Identities on the connection between the sidecars."""
    screen.heading("Who talked to whom: mutual TLS between the sidecars")
    allowed = Reason.ALLOWED.value
    inbound = await stage.notes.logged(event="handshake", side="inbound", reason=allowed)
    outbound = await stage.triage.logged(event="handshake", side="outbound", reason=allowed)
    decision = await stage.notes.logged(event="decision", peer=TRIAGE.spiffe_id, name="read_note")
    # The last call of the last session: when it is logged, all that came before is.
    await stage.notes.logged(len(ERAS), event="decision", name="write_note")
    return _show(screen, judgements.peers(inbound, outbound, decision, stage.notes.log))


CHANGES = 2
"""Of the agent's policy; a mistake is none."""

ROUNDS_SINCE = 10
"""That the session makes after a mistake."""


async def policy_changes(screen: Screen, stage: Stage) -> Findings:
    """The agent's policy file is saved with less in it, with a mistake, and as it was; its session goes on."""
    screen.heading("The policy changes, while the agent works")
    sidecars = {one.role.workload.name: one for one in stage.sidecars}
    policy = stage.policy()
    with screen.progress("changing the policy under a session"):
        given = {name: list(sidecar.configurations) for name, sidecar in sidecars.items()}
        watching = await stage.agent.watch(url(NOTES_HOST), LEGACY, WRITE)
        before = await watching.until(EVERYTHING, CHANGE_SECONDS)
        taken = await _change(stage, watching, without(policy, TAKEN), LESS)
        stage.change_policy(misspelt(without(policy, TAKEN)))
        refusal = await stage.control.refused()
        since = await watching.more(ROUNDS_SINCE)
        restored = await _change(stage, watching, policy, EVERYTHING)
        watched = await watching.end()
        await stage.triage.logged(len(given[TRIAGE.name]) + CHANGES, event="configuration")
    starts = {name: sum(one["event"] == "ready" for one in sidecar.log) for name, sidecar in sidecars.items()}
    versions = [str(one["version"]) for one in stage.triage.configurations]
    found = [
        change_judgements.distributed(given),
        *change_judgements.changed(before, taken),
        *change_judgements.mistaken(refusal, since),
        change_judgements.restored(restored),
        *change_judgements.undisturbed(watched, starts, versions),
    ]
    return _show(screen, found)


async def _change(stage: Stage, watching: Watching, policy: str, awaited: Sight) -> Change:
    """Save the agent's policy file, and wait until the session sees that, or for too long."""
    began = time.monotonic()
    stage.change_policy(policy)
    sight = await watching.until(awaited, CHANGE_SECONDS)
    return Change(sight, time.monotonic() - began)


async def identities_rotate(screen: Screen, stage: Stage) -> Findings:
    """New SVIDs for everybody, in the middle of a session that goes on calling."""
    screen.heading("New SVIDs, while the agent works")
    sidecars = (stage.triage, stage.notes)
    counts = [len(sidecar.identities) for sidecar in sidecars]
    with screen.progress("waiting for calls before, while and after the SVIDs change"):
        before = await shown_at(stage.ports.notes_mtls)
        working = await stage.agent.work(url(NOTES_HOST), LEGACY, READ)
        began = await working.more(CALLS_BETWEEN)
        stage.rotate()
        agent, server = [
            (await sidecar.logged(count, event="identity"), await sidecar.logged(count + 1, event="identity"))
            for sidecar, count in zip(sidecars, counts, strict=True)
        ]
        handshake = await stage.notes.logged(
            event="handshake", peer=TRIAGE.spiffe_id, serial=agent[1].get("serial")
        )
        later = await working.more(CALLS_BETWEEN)
        work = await working.end()
        after = await shown_at(stage.ports.notes_mtls)
    rotation = Rotation(agent, server, handshake, before, after)
    return _show(screen, tls_judgements.rotated(rotation, work, (began, later)))


async def https_is_looked_into(screen: Screen, stage: Stage) -> Findings:
    """HTTPS to a server on the Internet: ended by the agent's sidecar, decided, and made anew."""
    screen.heading(f"HTTPS: {PUBLIC_URL}, a server of somebody else")
    with screen.progress("speaking HTTPS"):
        direct = await stage.neighbour.visit(stage.public, MODERN)
        agent = await stage.agent.visit(PUBLIC_URL, MODERN, *PUBLIC_CALLS)
        after = await stage.neighbour.visit(stage.public, MODERN, ("list_notes", {}))
        seen = Certificate.read(await stage.agent.certificate(PUBLIC_URL))
        real = Certificate.read(await stage.neighbour.certificate(stage.public))
        authority = Certificate.read(certificates.authority(stage.folder, TRIAGE).read_text(encoding="ascii"))
        peer = f"{PUBLIC_HOST}:{PUBLIC_PORT}"
        handshake = await stage.triage.logged(event="handshake", side="outbound", peer=peer)
        impostor = await stage.impostor.visit(PUBLIC_URL, MODERN)
        refused = await stage.impostors.logged(event="decision", allowed=False)
    found = [
        *tls_judgements.public_server(direct, agent, after),
        *tls_judgements.certificates(seen, real, authority, handshake),
        *tls_judgements.undeclared(impostor, refused),
    ]
    return _show(screen, found)


async def wrong_identities_fail(screen: Screen, stage: Stage) -> Findings:
    """No identity, an identity that nobody granted anything, and a server that is not who it should be."""
    screen.heading("Wrong identities")
    with screen.progress("trying to get in"):
        bare = await stage.neighbour.visit(f"http://127.0.0.1:{stage.ports.notes_mtls}/mcp", MODERN)
        refused = await stage.notes.logged(event="handshake", reason=Reason.TLS_HANDSHAKE.value)
        impostor = await stage.impostor.visit(url(NOTES_HOST), MODERN)
        peer = await stage.notes.logged(event="handshake", peer=IMPOSTOR.spiffe_id)
        fake = await stage.agent.visit(url(SPARE_HOST), MODERN)
        wrong = Reason.PEER_WRONG_IDENTITY.value
        broken = await stage.triage.logged(event="handshake", side="outbound", reason=wrong)
        await stage.fake_notes.logged(event="handshake")
    found = [
        *judgements.without_identity(bare, refused),
        *judgements.impostor(impostor, peer),
        *judgements.fake_server(fake, broken, stage.fake_notes.log),
    ]
    return _show(screen, found)


async def elsewhere_is_closed(screen: Screen, stage: Stage) -> Findings:
    """Egress: a host that no document names."""
    screen.heading(f"Everything else: {UNKNOWN_HOST}, which no document declares")
    visit = await stage.agent.visit(url(UNKNOWN_HOST), MODERN)
    return _show(screen, judgements.unknown_destination(visit))


def _show(screen: Screen, findings: Iterable[Finding]) -> Findings:
    shown = list(findings)
    screen.findings(shown)
    return shown
