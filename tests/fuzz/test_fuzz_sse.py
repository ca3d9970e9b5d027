"""The event reader under arbitrary bytes in arbitrary chunks.

Only SseRefused escapes; chunks change no event; and what a model of the WHATWG algorithm dispatches is dispatched.
"""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh.protocol.sse import SseEvent, SseReader, SseRefused, encode_event
from tests.support.fuzzing import examples

FRAGMENTS = [
    *(
        b"data: x",
        b"data:{}",
        b"data",
        b"data: \xc3\xa9",
        b"id: 1",
        b"id: \x00",
        b"event: e",
        b"retry: 5",
        b"retry: x",
    ),
    *(
        b": c",
        b":",
        b"foo: y",
        b"Data: z",
        b"\xef\xbb\xbf",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
        b"\x0b",
        b"\xff",
        b"\xc3",
    ),
    *(
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\r",
        b"\r\n\r\n",
        b"\n\r\n",
        b"\r\n\n",
        b"\r\n\r",
        b" ",
        b"data: " + b"x" * 50,
    ),
]
streams = st.lists(st.sampled_from(FRAGMENTS), max_size=20).map(b"".join) | st.binary(max_size=40)
cuts = st.lists(st.integers(0, 200), max_size=10)
Dispatched = list[tuple[str, str | None, str | None, str | None]]


def split(stream: bytes, at: list[int]) -> list[bytes]:
    bounds = [0, *sorted(min(cut, len(stream)) for cut in at), len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds)]


def read(chunks: list[bytes]) -> list[SseEvent] | None:
    """Every event, or None if the stream is refused."""
    reader = SseReader(max_event_bytes=120)
    try:
        return [event for chunk in chunks for event in reader.feed(chunk)]
    except SseRefused:
        return None


def dispatched(events: list[SseEvent]) -> Dispatched:
    return [(e.data, e.event, e.id, e.retry) for e in events if e.data is not None]


def blanked(events: Dispatched) -> list[tuple[str | None, ...]]:
    """The same without what some clients take for line ends, whether escaped or blanked."""
    ends = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|\\\\u(?:000b|000c|001c|001d|001e|0085|2028|2029)")
    return [tuple(field and ends.sub(" ", field) for field in event) for event in events]


def model(stream: bytes) -> Dispatched:
    """HTML, section 9.2.6, line by line and without chunks."""
    text = stream.decode().removeprefix("\ufeff")
    *lines, _ = re.split("\r\n|\r|\n", text)
    found: Dispatched = []
    data: list[str] = []
    event = id = retry = None
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                found.append(("\n".join(data), event, id, retry))
            data, event, id, retry = [], None, None, None
        elif field == "data":
            data.append(value)
        elif field == "event":
            event = value
        elif field == "id" and "\0" not in value:
            id = value
        elif field == "retry" and re.fullmatch("[0-9]+", value):
            retry = value
    return found


@settings(max_examples=examples(600), deadline=None)
@given(streams, cuts)
@example(stream=b"data: x\n\r", at=[])
@example(stream=b": c\r\rdata: x\r\r\n\n", at=[4, 5])
@example(stream=b"\xef\xbb\xbf: c\ndata: x\n\n", at=[3])
def test_events_are_those_of_the_specification_however_the_stream_is_cut(
    stream: bytes, at: list[int]
) -> None:
    events = read(split(stream, at))
    if events is not None:
        assert dispatched(events) == model(stream[: len(stream) - unfinished(stream)])


def unfinished(stream: bytes) -> int:
    """How much of `stream` belongs to an event without its blank line, and may not even be UTF-8."""
    ends = [match.end() for match in re.finditer(rb"(?>\r\n|\r|\n)(?>\r\n|\r|\n)", stream)]
    return len(stream) - ends[-1] if ends else len(stream)


@settings(max_examples=examples(300), deadline=None)
@given(streams, cuts)
def test_what_leaves_reads_as_what_came(stream: bytes, at: list[int]) -> None:
    events = read(split(stream, at))
    if events is None:
        return
    passed = b"".join(encode_event(event, data=event.data) for event in events)
    again = SseReader().feed(passed)
    assert blanked(dispatched(again)) == blanked(dispatched(events))
    assert len(passed.decode().splitlines()) == len(re.split("\r\n|\r|\n", passed.decode())) - 1 or not passed
