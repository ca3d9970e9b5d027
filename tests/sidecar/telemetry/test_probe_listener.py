"""Who gets in on the telemetry port when too many want to."""

from __future__ import annotations

from typing import Any

from sidecar.proxy.ticker import NEVER, Ticker
from sidecar.telemetry.probe_listener import ProbeListener
from tests.support.fakes import Clock


class Transport:
    def __init__(self, peer: str | None) -> None:
        self._peer = peer
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (self._peer, 1) if name == "peername" and self._peer else default


class Open:
    """A connection of the telemetry port, as its listener knows it."""

    def __init__(self, peer: str | None, deadline: float = 10.0) -> None:
        self.transport = Transport(peer)
        self.deadline = deadline

    def expire(self) -> None:
        self.transport.abort()

    def drain(self) -> None:
        self.transport.abort()


def listener(limit: int, crowded: list[str] | None = None) -> ProbeListener:
    told = crowded if crowded is not None else []
    return ProbeListener(
        "telemetry", lambda _: None, Ticker(1.0, Clock()), limit, lambda: told.append("refused")
    )


def aborted(connections: list[Open]) -> list[bool]:
    return [connection.transport.aborted for connection in connections]


def test_the_connection_that_was_silent_longest_makes_room() -> None:
    crowded: list[str] = []
    listening = listener(3, crowded)
    held = [Open("10.0.0.9", deadline) for deadline in (12, 11, 13)]
    kubelet = Open("10.0.0.1")
    for connection in (*held, kubelet):
        listening.opened(connection)
    assert aborted([*held, kubelet]) == [False, True, False, False]
    assert (listening.count, crowded) == (3, [])


def test_a_crowd_from_one_place_ends_only_its_own() -> None:
    listening = listener(4)
    kubelet = [Open("10.0.0.1", 1), Open("10.0.0.1", NEVER)]
    stranger = [Open("10.0.0.9", 100 + number) for number in range(50)]
    listening.opened(kubelet[0])
    for connection in stranger[:3]:
        listening.opened(connection)
    listening.opened(kubelet[1])
    for connection in stranger[3:]:
        listening.opened(connection)
    assert aborted(kubelet) == [False, False]
    assert aborted(stranger).count(False) == 2


def test_who_waits_for_the_application_goes_last_of_the_crowd() -> None:
    listening = listener(2)
    asking, idle = Open("10.0.0.9", NEVER), Open("10.0.0.9", 500)
    new = [Open("10.0.0.1"), Open("10.0.0.2")]
    for connection in (asking, idle, new[0]):
        listening.opened(connection)
    assert aborted([asking, idle]) == [False, True]
    listening.opened(new[1])
    assert listening.count == 2


def test_a_connection_that_is_gone_already_makes_room_too() -> None:
    listening = listener(1)
    gone, new = Open(None), Open(None)
    listening.opened(gone)
    listening.opened(new)
    assert aborted([gone, new]) == [True, False]
    listening.closed(gone)
    assert listening.count == 1


def test_a_listener_without_any_room_refuses() -> None:
    crowded: list[str] = []
    new = Open("10.0.0.1")
    listener(0, crowded).opened(new)
    assert (new.transport.aborted, crowded) == (True, ["refused"])


async def test_while_draining_nobody_gets_in_and_nobody_is_ended_for_it() -> None:
    listening = listener(1)
    held, new = Open("10.0.0.9"), Open("10.0.0.1")
    listening.opened(held)
    listening.draining = True
    listening.opened(new)
    assert aborted([held, new]) == [False, True]
