"""What an answer says of its conversation is learnt as it passes, whatever pieces it comes in."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from mesh.protocol.http1.heads import CHUNKED, RequestHead, ResponseHead
from mesh.protocol.http1.write import LAST_CHUNK, chunk
from sidecar.proxy.answers import PassedAnswer
from sidecar.proxy.overheard import MOST_BYTES, overheard

GET = RequestHead("GET", b"/", [], 0, True, False, False)
TASK = {"jsonrpc": "2.0", "id": 1, "result": {"kind": "task", "id": "t1", "contextId": "c1", "status": {}}}
UPDATE = {"jsonrpc": "2.0", "id": 1, "result": {"kind": "status-update", "taskId": "t1", "contextId": "c1"}}
MORE = {"jsonrpc": "2.0", "id": 1, "result": {"kind": "message", "contextId": "c2"}}


def head(media: str, length: int = CHUNKED, **fields: str) -> ResponseHead:
    headers = [(b"content-type", media.encode())]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return ResponseHead(200, b"OK", headers, length, True, dict(headers), {})


def heard(answered: ResponseHead, *pieces: bytes) -> list[tuple[str, ...]]:
    """What was learnt; the client gets every piece as it is."""
    told: list[tuple[str, ...]] = []
    answer = overheard(PassedAnswer(answered, GET, closing=False), answered, told.append)
    answer.begin()
    assert answer.begun
    assert not answer.closes
    assert not answer.endless
    for piece in pieces:
        assert answer.body(piece) == chunk(piece)
    assert answer.end() == LAST_CHUNK
    return told


def events(*messages: object) -> bytes:
    return b"".join(b"data: %b\n\n" % json.dumps(message).encode() for message in messages)


@pytest.mark.parametrize(
    "media", ["application/json", "Application/JSON; charset=utf-8", "application/a2a+json"]
)
def test_a_document_tells_its_conversation_and_its_task(media: str) -> None:
    body = json.dumps(TASK).encode()
    ((*found,),) = heard(head(media), body[:10], body[10:])
    assert sorted(found) == ["c1", "t1"]


def test_events_tell_at_once_and_each_thing_once() -> None:
    told: list[tuple[str, ...]] = []
    answered = head("text/event-stream")
    answer = overheard(PassedAnswer(answered, GET, closing=False), answered, told.append)
    answer.begin()
    answer.body(b": hello\n\n" + events(TASK))
    assert sorted(told[0]) == ["c1", "t1"]
    answer.body(events(UPDATE, UPDATE))
    assert len(told) == 1
    answer.body(events(MORE))
    assert told[1:] == [("c2",)]


@pytest.mark.parametrize(
    "answered",
    [
        head("text/html"),
        head("application/json", content_encoding="gzip"),
        head("text/event-stream", content_encoding="br"),
        head("application/json", 0),
        head("application/json", MOST_BYTES + 1),
        structs.replace(head(""), headers=[], fields={}),
    ],
)
def test_what_cannot_be_read_is_not_listened_to(answered: ResponseHead) -> None:
    passed = PassedAnswer(answered, GET, closing=False)
    assert overheard(passed, answered, lambda found: None) is passed


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/json", json.dumps({**TASK, "more": "x" * MOST_BYTES}).encode()),
        ("application/json", json.dumps(TASK).encode()[:-1]),
        ("text/event-stream", b": " + b"x" * MOST_BYTES + b"\n\n" + events(TASK)),
        ("text/event-stream", b"data: \xff\n\n" + events(TASK)),
        ("text/event-stream", events(TASK)[:-1]),
    ],
)
def test_what_is_too_long_or_broken_tells_nothing(media: str, body: bytes) -> None:
    assert heard(head(media), body, b"\n" * 3 if media == "application/json" else b"x") == []


@given(cuts=st.lists(st.integers(0, 400), max_size=8))
def test_pieces_change_nothing(cuts: list[int]) -> None:
    body = events(TASK, UPDATE, MORE)
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    pieces = [body[a:b] for a, b in pairwise(places)]
    assert heard(head("text/event-stream"), *pieces) == heard(head("text/event-stream"), body)
