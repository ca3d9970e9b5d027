"""What the demo makes of rotation and of HTTPS: statements that hold for what should happen, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from cli.demo import tls_judgements
from cli.demo.cast import IMPOSTOR, NOTES, NOTES_HOST, PUBLIC_HOST, SPARE_HOST, TRIAGE
from cli.demo.certificates import Certificate
from cli.demo.findings import Finding
from cli.demo.judgements import EVERY_TOOL
from cli.demo.tls_judgements import PUBLIC_GRANTED, WELCOME, Rotation
from cli.demo.visits import Outcome, Visit, Work


def broken(findings: Iterable[Finding]) -> list[str]:
    return [finding.statement for finding in findings if not finding.holds]


def svid(workload: str, serial: str, second: int) -> dict[str, str]:
    end = f"2026-01-01T12:00:{second:02}+00:00"
    return {"event": "identity", "spiffe_id": workload, "serial": serial, "not_after": end}


ROTATION = Rotation(
    (svid(TRIAGE.spiffe_id, "a1", 1), svid(TRIAGE.spiffe_id, "a2", 5)),
    (svid(NOTES.spiffe_id, "b1", 1), svid(NOTES.spiffe_id, "b2", 5)),
    {"event": "handshake", "peer": TRIAGE.spiffe_id, "serial": "a2", "reason": "allowed"},
    Certificate("b1"),
    Certificate("b2"),
)
WORK = Work("2025-11-25", {WELCOME: 45}, None)


def test_a_rotation_that_nobody_noticed() -> None:
    found = list(tls_judgements.rotated(ROTATION, WORK, (20, 40)))
    assert broken(found) == []
    assert found[0].evidence == "serial a1 until 12:00:01, now a2 until 12:00:05"
    assert "20 before the identity server was told to rotate, 25 since" in found[-1].evidence


@pytest.mark.parametrize(
    "seen",
    [
        replace(ROTATION, agent=(ROTATION.agent[0], {})),
        replace(ROTATION, agent=(ROTATION.agent[0], ROTATION.agent[0])),
        replace(ROTATION, server=(ROTATION.server[0], svid(IMPOSTOR.spiffe_id, "b2", 5))),
        replace(ROTATION, server=(ROTATION.server[1], svid(NOTES.spiffe_id, "b3", 1))),
        replace(ROTATION, handshake={}),
        replace(ROTATION, handshake={**ROTATION.handshake, "serial": "a1"}),
        replace(ROTATION, handshake={**ROTATION.handshake, "reason": "peer_not_allowed"}),
        replace(ROTATION, after=Certificate("b1")),
        replace(ROTATION, before=Certificate("b2")),
        replace(ROTATION, after=None),
        Rotation(({}, {}), ({}, {}), {}, None, None),
    ],
)
def test_a_rotation_that_did_not_happen_everywhere_makes_a_statement_fail(seen: Rotation) -> None:
    assert broken(tls_judgements.rotated(seen, WORK, (20, 40)))


@pytest.mark.parametrize(
    ("work", "calls"),
    [
        (replace(WORK, failed="ConnectError()"), (20, 40)),
        (replace(WORK, answers={WELCOME: 44, "Server returned an error response": 1}), (20, 40)),
        (replace(WORK, answers={}), (0, 0)),
        (WORK, (20, 20)),
        (WORK, (0, 20)),
    ],
)
def test_one_call_that_failed_makes_a_statement_fail(work: Work, calls: tuple[int, int]) -> None:
    assert broken(tls_judgements.rotated(ROTATION, work, calls))


DIRECT = Visit("2026-07-28", EVERY_TOOL)
AGENT = Visit(
    "2026-07-28",
    PUBLIC_GRANTED,
    outcomes=(
        Outcome("read_note", text=WELCOME),
        Outcome("delete_note", error="Unknown tool: delete_note", code=-32602),
    ),
)
AFTER = Visit(outcomes=(Outcome("list_notes", text="incident-42, welcome"),))


def test_a_public_server_is_seen_as_far_as_policy_grants() -> None:
    assert broken(tls_judgements.public_server(DIRECT, AGENT, AFTER)) == []


@pytest.mark.parametrize(
    ("agent", "after"),
    [
        (replace(AGENT, tools=EVERY_TOOL), AFTER),
        (replace(AGENT, outcomes=AGENT.outcomes[:1]), AFTER),
        (replace(AGENT, outcomes=AGENT.outcomes[1:]), AFTER),
        (replace(AGENT, outcomes=(AGENT.outcomes[0], Outcome("delete_note", text="deleted"))), AFTER),
        (AGENT, Visit(outcomes=(Outcome("list_notes", text="welcome"),))),
        (Visit(failed="certificate verify failed"), AFTER),
    ],
)
def test_a_public_server_that_shows_more_or_less_makes_a_statement_fail(agent: Visit, after: Visit) -> None:
    assert broken(tls_judgements.public_server(DIRECT, agent, after))


SEEN = Certificate("1", (PUBLIC_HOST,), PUBLIC_HOST, "Outrider interception 12ab")
REAL = Certificate("2", (PUBLIC_HOST, "127.0.0.1"), PUBLIC_HOST, "serving.invalid")
HOSTS = (SPARE_HOST, PUBLIC_HOST, NOTES_HOST)
AUTHORITY = Certificate("3", (), "Outrider interception root 12ab", "", HOSTS)
CHECKED = {"event": "handshake", "side": "outbound", "peer": f"{PUBLIC_HOST}:443", "reason": "allowed"}


def test_the_certificate_that_was_shown_is_the_sidecars() -> None:
    assert broken(tls_judgements.certificates(SEEN, REAL, AUTHORITY, CHECKED)) == []


@pytest.mark.parametrize(
    ("seen", "real", "authority", "handshake"),
    [
        (None, REAL, AUTHORITY, CHECKED),
        (REAL, REAL, AUTHORITY, CHECKED),
        (SEEN, None, AUTHORITY, CHECKED),
        (replace(SEEN, names=(PUBLIC_HOST, "evil.example.com")), REAL, AUTHORITY, CHECKED),
        (replace(SEEN, issuer="Outrider interception 99"), REAL, AUTHORITY, CHECKED),
        (SEEN, REAL, None, CHECKED),
        (SEEN, REAL, replace(AUTHORITY, limited_to=None), CHECKED),
        (SEEN, REAL, replace(AUTHORITY, limited_to=(*HOSTS, "com")), CHECKED),
        (SEEN, REAL, AUTHORITY, {}),
        (SEEN, REAL, AUTHORITY, {**CHECKED, "reason": "tls_handshake"}),
    ],
)
def test_another_certificate_makes_a_statement_fail(
    seen: Certificate | None,
    real: Certificate | None,
    authority: Certificate | None,
    handshake: dict[str, str],
) -> None:
    assert broken(tls_judgements.certificates(seen, real, authority, handshake))


REFUSED = {"event": "decision", "reason": "egress_denied"}


@pytest.mark.parametrize(
    ("visit", "line", "holds"),
    [
        (Visit(failed="ProxyError('403 Forbidden')"), REFUSED, True),
        (Visit(failed="ProxyError('502 Bad Gateway')"), REFUSED, False),
        (Visit(failed="ProxyError('403 Forbidden')"), {}, False),
        (Visit(tools=EVERY_TOOL), REFUSED, False),
        (Visit(), REFUSED, False),
    ],
)
def test_an_undeclared_host_is_refused(visit: Visit, line: dict[str, str], holds: bool) -> None:
    assert (broken(tls_judgements.undeclared(visit, line)) == []) is holds
