"""What a sidecar does while SPIRE has nothing for it, or is gone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from e2e.spire import domain
from e2e.spire.conftest import HASTY
from e2e.spire.domain import Domain
from e2e.spire.load import calling
from e2e.spire.pair import URL, client_side, server_side
from e2e.spire.workload import Sidecar

SECONDS = 60


def test_a_sidecar_waits_for_its_registration_entry(hasty: Domain, tmp_path: Path) -> None:
    python = hasty.workload("late", registered=False)
    with client_side(tmp_path / "late", python, hasty.agent.endpoint, "127.0.0.1:1", hasty.id("x")) as late:
        late.until(lambda: "PERMISSION_DENIED" in late.text() or None, "not refused")
        assert late.ready() == (503, ["no_svid", "listener_not_bound"])
        assert late.lines("ready") == []
        hasty.register("late", python)
        late.address("forward")
        assert late.ready()[0] == 200
        assert late.lines("identity")[0]["spiffe_id"] == hasty.id("late")


def test_a_sidecar_outlives_its_agent(
    spire: object, notes: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed, then back with another socket file; then away for longer than an SVID lives, and back again."""
    with domain.running("mortal.test", tmp_path_factory.mktemp("m"), HASTY) as mortal:
        server_python, client_python = mortal.workload("notes"), mortal.workload("agent")
        endpoint = mortal.agent.endpoint
        with server_side(tmp_path / "notes", server_python, endpoint, notes, [mortal.id("agent")]) as server:
            inbound = server.address("inbound")
            with client_side(
                tmp_path / "agent", client_python, endpoint, inbound, mortal.id("notes")
            ) as client:
                proxy = f"http://{client.address('forward')}"
                _calls_go_on_while_the_svid_lives(mortal, server, client, proxy)
                _a_frozen_agent_is_left_and_found_again(mortal, server, client, proxy)
                _nothing_passes_once_it_is_over(mortal, server, client)
                with calling(URL, proxy) as account:
                    _rotates(server, client)
                assert account.failures == []


def _calls_go_on_while_the_svid_lives(mortal: Domain, server: Sidecar, client: Sidecar, proxy: str) -> None:
    with calling(URL, proxy) as account:
        _rotates(server, client)
        mortal.agent.kill()
        for side in (server, client):
            side.until(
                lambda side=side: "agent.sock" in side.text().rpartition("identity_problem")[2] or None,
                "no word",
            )
            assert side.ready()[0] == 200
        mortal.agent.start()
        _rotates(server, client)
    print({"calls around a killed agent": account.calls, "failures": len(account.failures)})
    assert account.failures == []
    assert account.calls > 0


def _a_frozen_agent_is_left_and_found_again(
    mortal: Domain, server: Sidecar, client: Sidecar, proxy: str
) -> None:
    """The kernel still accepts for it, so nothing fails and only silence tells.

    What lives 14 s may end before ten seconds of silence do, so calls may be refused meanwhile; they are not
    once the agent goes on.
    """
    problems = [len(side.lines("identity_problem")) for side in (server, client)]
    with calling(URL, proxy) as account:
        _rotates(server, client)
        mortal.agent.freeze()
        for side, before in zip((server, client), problems, strict=True):
            side.until(
                lambda side=side, before=before: len(side.lines("identity_problem")) > before or None,
                "silence was not noticed",
                SECONDS,
            )
            assert "has not answered" in side.lines("identity_problem")[-1]["detail"]
        mortal.agent.thaw()
        _rotates(server, client)
    print({"calls around a frozen agent": account.calls, "refused": len(account.failures)})
    with calling(URL, proxy) as account:
        _rotates(server, client)
    assert account.failures == []


def _nothing_passes_once_it_is_over(mortal: Domain, server: Sidecar, client: Sidecar) -> None:
    mortal.agent.kill()
    for side in (server, client):
        side.until(lambda side=side: side.ready()[0] == 503 or None, "still ready")
        assert side.ready()[1] == ["svid_expired"]
        assert side.metric("outrider_identity_ready") == 0
        assert side.metric("outrider_identity_expiry_seconds") <= 0
        side.until(lambda side=side: _said_since_when(side), "the end of the SVID was not said")
    begun = time.monotonic()
    mortal.agent.start()
    for side in (server, client):
        side.until(lambda side=side: side.ready()[0] == 200 or None, "not ready again", SECONDS)
        assert side.metric("outrider_identity_expiry_seconds") > 0
    print({"ready again after": round(time.monotonic() - begun, 1)})


def _said_since_when(side: Sidecar) -> bool | None:
    expired = side.lines("identity_expired")
    return (expired and expired[-1]["since"] == side.lines("identity")[-1]["not_after"]) or None


def _rotates(*sides: Sidecar, times: int = 3) -> None:
    wanted = [(side, side.rotations() + times) for side in sides]
    for side, count in wanted:
        side.until(lambda side=side, count=count: side.rotations() >= count or None, "no rotation", SECONDS)
