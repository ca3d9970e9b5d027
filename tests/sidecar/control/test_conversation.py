"""What a sidecar says to the control plane, and when."""

from __future__ import annotations

import json

import pytest

from mesh.distribution.messages import (
    ALIVE_SECONDS,
    MAX_SERVER_LINE_BYTES,
    SILENCE_SECONDS,
    Configuration,
    FromControl,
    FromSidecar,
    Hello,
    Leave,
    write_line,
)
from mesh.identity.errors import DocumentInvalid
from sidecar.control.conversation import LONGEST_LEAVE, Conversation, Over
from sidecar.control.lines import Lines

HELLO = Hello("agents", "triage-1", "uid", "0.1.0", "v1")
ONE = FromControl(configuration=Configuration("v2", [{"kind": "Backend"}], {"app": "triage"}))


def test_it_begins_with_who_asks_and_what_is_in_force() -> None:
    line = Conversation(0.0).hello(HELLO, 0.0)
    assert line.endswith(b"\n")
    assert json.loads(line)["hello"] == {
        "namespace": "agents",
        "pod": "triage-1",
        "uid": "uid",
        "sidecar": "0.1.0",
        "version": "v1",
    }


def test_configurations_are_heard_in_any_pieces() -> None:
    conversation = Conversation(0.0)
    data = write_line(ONE) + b"\n" + write_line(FromControl(alive=True)) + write_line(ONE)
    found = [x for i in range(len(data)) for x in conversation.hear(data[i : i + 1], 1.0)]
    assert found == [ONE.configuration, ONE.configuration]
    assert conversation.begun


def test_what_is_no_line_of_the_stream_is_told() -> None:
    with pytest.raises(DocumentInvalid):
        Conversation(0.0).hear(b"[]\n", 0.0)


def test_a_line_without_an_end_is_given_up() -> None:
    lines = Lines(10)
    assert lines.feed(b"123456789\n1234567890") == [b"123456789"]
    with pytest.raises(DocumentInvalid, match="more than 10 bytes"):
        lines.feed(b"1")
    assert MAX_SERVER_LINE_BYTES >= 1024 * 1024


def test_it_says_that_it_is_alive_when_it_has_said_nothing_for_a_while() -> None:
    conversation = Conversation(0.0)
    assert conversation.due(ALIVE_SECONDS - 0.1) == b""
    assert conversation.wait(ALIVE_SECONDS - 0.1) == pytest.approx(0.1)
    assert conversation.due(ALIVE_SECONDS) == b'{"alive":true}\n'
    assert conversation.due(ALIVE_SECONDS + 1) == b""
    conversation.say(FromSidecar(applied="v2"), ALIVE_SECONDS + 5)
    assert conversation.due(2 * ALIVE_SECONDS + 1) == b""


def test_silence_ends_it_and_any_byte_is_no_silence() -> None:
    conversation = Conversation(0.0)
    assert conversation.hear(b'{"al', SILENCE_SECONDS - 1) == []
    assert isinstance(conversation.due(SILENCE_SECONDS), bytes)
    assert conversation.due(2 * SILENCE_SECONDS - 1) is Over.SILENCE


def test_it_ends_with_what_proved_us() -> None:
    conversation = Conversation(0.0, proof_ends=3.0)
    assert conversation.wait(1.0) == 2.0
    assert conversation.due(3.0) is Over.PROOF_ENDED


@pytest.mark.parametrize(("draw", "at"), [(0.0, 6.0), (0.5, 8.0), (1.0, 10.0)])
def test_it_leaves_about_when_it_is_asked_to_and_listens_until_then(draw: float, at: float) -> None:
    conversation = Conversation(0.0, draw=lambda: draw)
    conversation.hear(write_line(FromControl(leave=Leave(8.0))), 0.0)
    assert conversation.due(at - 0.1) == b""
    assert conversation.absence(at - 0.5) == pytest.approx(0.5)
    assert conversation.hear(write_line(ONE), at - 0.1) == [ONE.configuration]
    assert conversation.due(at) is Over.LEAVE


@pytest.mark.parametrize(("seconds", "most"), [(-5.0, 0.0), (1e300, LONGEST_LEAVE)])
def test_it_stays_away_for_no_unreasonable_time(seconds: float, most: float) -> None:
    conversation = Conversation(0.0)
    assert conversation.absence(0.0) == 0.0
    conversation.hear(write_line(FromControl(leave=Leave(seconds))), 0.0)
    assert conversation.absence(0.0) == most
