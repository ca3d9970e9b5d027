"""Both sides' SVIDs are replaced every two seconds, and the authority beneath them, while an agent works."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from e2e.spire.domain import Domain
from e2e.spire.load import calling
from e2e.spire.pair import URL, client_side, server_side
from e2e.spire.workload import Sidecar

ROTATIONS = int(os.environ.get("OUTRIDER_ROTATIONS", "30"))
SECONDS_EACH = 6


@pytest.mark.timeout(2 * ROTATIONS * SECONDS_EACH + 120)
def test_no_call_fails_while_both_sides_rotate(
    hasty: Domain, notes: int, tmp_path: Path, record_property: pytest.RecordProperty
) -> None:
    server_python, client_python = hasty.workload("notes"), hasty.workload("agent")
    authorities = hasty.server.bundle()
    endpoint, begun = hasty.agent.endpoint, time.monotonic()
    with server_side(tmp_path / "notes", server_python, endpoint, notes, [hasty.id("agent")]) as server:
        inbound = server.address("inbound")
        with client_side(tmp_path / "agent", client_python, endpoint, inbound, hasty.id("notes")) as client:
            forward = client.address("forward")
            problems = [len(side.lines("identity_problem")) for side in (server, client)]
            with calling(URL, f"http://{forward}") as account:
                for side in (server, client):
                    side.until(
                        lambda side=side: _rotated(side), "too few rotations", ROTATIONS * SECONDS_EACH
                    )
            found = {
                "calls": account.calls,
                "failures": len(account.failures),
                "rotations": (server.rotations(), client.rotations()),
                "handshakes": server.metric("outrider_tls_handshakes_total", reason="allowed"),
                "slowest": round(account.slowest, 3),
                "seconds": round(time.monotonic() - begun),
            }
            for name, value in found.items():
                record_property(name, value)
            print(found)
            assert account.failures == []
            assert hasty.server.bundle() != authorities
            assert account.calls > ROTATIONS
            assert problems == [len(side.lines("identity_problem")) for side in (server, client)]
            for side in (server, client):
                assert side.metric("outrider_tls_handshakes_total") == side.metric(
                    "outrider_tls_handshakes_total", reason="allowed"
                )
                assert side.ready()[0] == 200


def _rotated(side: Sidecar) -> bool | None:
    return True if side.rotations() > ROTATIONS else None
