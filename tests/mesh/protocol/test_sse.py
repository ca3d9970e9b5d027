from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mesh.protocol.sse import SseEvent, SseReader, SseRefused, encode_event
from mesh.reasons import Reason

Fields = tuple[str, str | None, str | None, str | None]


def feed_all(reader: SseReader, chunks: Iterable[bytes]) -> list[SseEvent]:
    return [event for chunk in chunks for event in reader.feed(chunk)]


def read(*chunks: bytes) -> list[SseEvent]:
    return feed_all(SseReader(), chunks)


def dispatched(events: list[SseEvent]) -> list[Fields]:
    """What a client makes of the events, apart from comments."""
    return [(e.data, e.event, e.id, e.retry) for e in events if e.data is not None]


def one(block: bytes) -> SseEvent:
    (event,) = read(block)
    return event


def test_the_fields_of_an_event_are_read() -> None:
    event = one(b"event: message\nid: 7\nretry: 100\ndata: {}\n\n")
    assert (event.data, event.event, event.id, event.retry) == ("{}", "message", "7", "100")
    assert event.comments == ()


@pytest.mark.parametrize(
    ("block", "data"),
    [
        (b"data:x\n\n", "x"),
        (b"data: x\n\n", "x"),
        (b"data:  x\n\n", " x"),
        (b"data:\n\n", ""),
        (b"data\n\n", ""),
        (b"data: a\ndata: b\n\n", "a\nb"),
        (b"data\ndata\n\n", "\n"),
        (b"data: a:b\n\n", "a:b"),
        (b"id: 1\n\n", None),
        (b"Data: x\n\n", None),
        (b"datax: x\n\n", None),
        (b" data: x\n\n", None),
    ],
)
def test_data_is_read_as_whatwg_says(block: bytes, data: str | None) -> None:
    assert one(block).data == data


def test_the_last_event_id_and_retry_count() -> None:
    event = one(b"id: 1\nid: 2\nevent: a\nevent: b\nretry: 1\nretry: 2\n\n")
    assert (event.id, event.event, event.retry) == ("2", "b", "2")


def test_an_id_with_nul_is_ignored() -> None:
    assert one(b"id: 1\nid: 2\x00\n\n").id == "1"


@pytest.mark.parametrize("value", ["1x", "-1", "1.5", "", "\u0661"])
def test_a_retry_that_is_no_number_is_ignored(value: str) -> None:
    assert one(f"retry: 5\nretry: {value}\n\n".encode()).retry == "5"


def test_an_empty_id_resets_and_is_kept() -> None:
    assert one(b"id\ndata: x\n\n").id == ""


def test_comments_are_kept() -> None:
    event = one(b": a\n:b\n:\ndata: x\n: c\n\n")
    assert event.comments == ("a", "b", "", "c")
    assert event.data == "x"


def test_raw_is_what_was_received() -> None:
    blocks = [b"id: 1\r\ndata: \r\nretry: 100\r\n\r\n", b"event: message\r\ndata: {}\r\n\r\n"]
    assert [event.raw for event in read(b"".join(blocks))] == blocks
    blocks = [b"data:x\n\n", b"unknown: y\ndata: z\n\n"]
    assert [event.raw for event in read(b"".join(blocks))] == blocks


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_is_understood(end: bytes) -> None:
    stream = end.join([b"event: a", b"data: 1", b"data: 2", b"", b"data: 3", b"", b""])
    assert dispatched(read(stream)) == [("1\n2", "a", None, None), ("3", None, None, None)]


def test_line_ends_may_be_mixed() -> None:
    stream = b"data: 1\r\n\ndata: 2\n\r\ndata: 3\r\r\ndata: 4\n\rdata: 5\r\n\r"
    assert [event.data for event in read(stream)] == ["1", "2", "3", "4", "5"]


def test_a_byte_order_mark_is_dropped_at_the_start_only() -> None:
    for chunks in ([b"\xef\xbb\xbfdata: x\n\n"], [b"\xef", b"\xbb", b"\xbfdata: x\n", b"\n"]):
        (event,) = read(*chunks)
        assert event.data == "x"
        assert event.raw == b"data: x\n\n"
    assert dispatched(read(b"data: x\n\n\xef\xbb\xbfdata: y\n\n")) == [("x", None, None, None)]


def test_an_event_is_delivered_at_its_blank_line() -> None:
    reader = SseReader()
    assert reader.feed(b"data: x\n") == []
    assert [event.data for event in reader.feed(b"\n")] == ["x"]


def test_an_event_of_a_cr_stream_waits_for_nothing() -> None:
    reader = SseReader()
    assert [event.data for event in reader.feed(b"data: x\r\r")] == ["x"]
    assert [event.data for event in reader.feed(b"data: y\r\r")] == ["y"]


def test_a_line_feed_after_a_delivered_cr_belongs_to_it() -> None:
    reader = SseReader()
    (event,) = reader.feed(b"data: x\r\n\r")
    assert event.raw == b"data: x\r\n\r\n"
    assert reader.feed(b"") == []
    (event,) = reader.feed(b"\ndata: y\r\n\r\n")
    assert event.raw == b"data: y\r\n\r\n"


def test_only_one_line_feed_is_swallowed() -> None:
    reader = SseReader()
    reader.feed(b"data: x\r\r")
    assert [event.raw for event in reader.feed(b"\n\ndata: y\n\n")] == [b"\ndata: y\n\n"]


@pytest.mark.parametrize("keep_alive", [b":\r\n", b": ping\n", b"\n", b":a\n:b\n"])
def test_a_comment_line_alone_is_passed_on_at_once(keep_alive: bytes) -> None:
    reader = SseReader()
    (event,) = reader.feed(keep_alive)
    assert event.data is None
    assert encode_event(event, data=None) == keep_alive
    assert dispatched(reader.feed(b"data: x\n\n")) == [("x", None, None, None)]


def test_a_comment_before_an_unfinished_event_is_passed_on() -> None:
    reader = SseReader()
    (event,) = reader.feed(b": ping\nda")
    assert (event.raw, event.comments) == (b": ping\n", ("ping",))
    (event,) = reader.feed(b"ta: x\n\n")
    assert event.raw == b"data: x\n\n"


def test_a_comment_split_between_chunks_is_passed_on_when_its_line_ends() -> None:
    reader = SseReader()
    assert reader.feed(b": pi") == []
    assert reader.feed(b"ng") == []
    (event,) = reader.feed(b"\r\n")
    assert event.raw == b": ping\r\n"


def test_a_cr_after_a_comment_waits_for_its_line_feed() -> None:
    reader = SseReader()
    assert reader.feed(b": ping\r") == []
    (event,) = reader.feed(b"\n")
    assert event.raw == b": ping\r\n"


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_unicode_separators_are_data(separator: str) -> None:
    (event,) = read(f"data: a{separator}b\n\n".encode())
    assert event.data == f"a{separator}b"


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c"])
def test_false_line_ends_do_not_reach_the_client(separator: str) -> None:
    smuggled = f'{separator}data: {{"evil":1}}{separator}{separator}'
    block = f': c{smuggled}\nevent: e{smuggled}\nid: 1{smuggled}\nfoo: x{smuggled}\ndata: {{"a":"{smuggled}"}}\n\n'
    (event,) = read(block.encode())
    assert event.raw == b""
    passed = encode_event(event, data=event.data).decode()
    assert passed.splitlines() == passed.split("\n")[:-1]
    (again,) = read(passed.encode())
    assert again.data is not None
    assert again.data == event.data.replace(separator, f"\\u{ord(separator):04x}") if event.data else False


def test_a_false_line_end_at_the_end_of_an_event_counts() -> None:
    event = one("data: {}\u2028\n\n".encode())
    assert event.raw == b""
    assert encode_event(event, data="{}") == b"data: {}\n\n"


def test_false_line_ends_in_other_text_become_spaces() -> None:
    event = one("data: a\u2028b\n\n".encode())
    assert encode_event(event, data=event.data) == b"data: a b\n\n"


def test_text_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(SseRefused) as caught:
        SseReader().feed(b"data: \xff\n\n")
    assert caught.value.reason is Reason.SSE_MALFORMED


def test_a_character_split_between_chunks_is_read() -> None:
    stream = "data: \u00e9\U0001f600\n\n".encode()
    assert dispatched(read(*[stream[i : i + 1] for i in range(len(stream))])) == [
        ("\u00e9\U0001f600", None, None, None)
    ]


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_an_event_over_the_limit_is_refused(chunk: int) -> None:
    fits = b"data: " + b"x" * 92 + b"\n\n"
    reader = SseReader(max_event_bytes=len(fits))
    feed_all(reader, [fits[at : at + chunk] for at in range(0, len(fits), chunk)])
    over = b"data: x" + fits[6:]
    with pytest.raises(SseRefused) as caught:
        feed_all(reader, [over[at : at + chunk] for at in range(0, len(over), chunk)])
    assert caught.value.reason is Reason.SSE_EVENT_TOO_LARGE


def test_the_limit_is_for_each_event() -> None:
    reader = SseReader(max_event_bytes=20)
    assert len(reader.feed(b"data: x\n\n" * 100)) == 100


def test_an_unterminated_event_is_dropped_at_the_end() -> None:
    reader = SseReader()
    assert len(reader.feed(b"data: x\n\ndata: y\n")) == 1
    assert reader.eof() == len(b"data: y\n")
    assert reader.eof() == 0


def test_an_unchanged_event_leaves_byte_for_byte() -> None:
    block = b"id:1\n:c\r\ndata:  {}\rfoo: bar\n\n"
    assert encode_event(one(block), data=" {}") == block


def test_new_data_keeps_id_retry_event_and_comments() -> None:
    event = one(b"id: 1\r\n: c\r\nretry: 100\r\nevent: message\r\nfoo: bar\r\ndata: a\r\ndata: b\r\n\r\n")
    assert encode_event(event, data='{"b":1}') == b': c\nevent: message\nid: 1\nretry: 100\ndata: {"b":1}\n\n'


def test_data_of_several_lines_is_written_as_several_fields() -> None:
    event = one(b"data: x\n\n")
    assert encode_event(event, data="a\nb\r\nc") == b"data: a\ndata: b\ndata: c\n\n"
    assert encode_event(event, data="") == b"data: \n\n"
    assert encode_event(one(b"id: 4\ndata: x\n\n"), data=None) == b"id: 4\n\n"


# Streams made of the pieces that matter, cut anywhere.
pieces = st.sampled_from(
    [
        b"data: x",
        b"data",
        b"id: 1",
        b": c",
        b":",
        b"retry: 5",
        b"event: e",
        b"\xc3\xa9",
        b"",
        b"foo",
        b"\xe2\x80\xa8",
    ]
)
line_ends = st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n", b"\r\n\r\n", b"\r\r"])
streams = st.lists(st.tuples(pieces, line_ends), max_size=12).map(
    lambda parts: b"".join(a + b for a, b in parts)
)
cuts = st.lists(st.integers(min_value=0, max_value=80), max_size=6)


def split(stream: bytes, at: list[int]) -> list[bytes]:
    bounds = [0, *sorted(min(cut, len(stream)) for cut in at), len(stream)]
    return [stream[a:b] for a, b in pairwise(bounds)]


@given(streams, cuts)
@example(stream=b"data: x\r\n\r\ndata: y\r\n\r\n", at=[10])
@example(stream=b": c\r\n\r\ndata: y\r\n\r\n", at=[4, 5, 7])
def test_how_a_stream_is_cut_does_not_change_its_events(stream: bytes, at: list[int]) -> None:
    whole, cut = read(stream), read(*split(stream, at))
    assert dispatched(cut) == dispatched(whole)
    comments = [comment for event in whole for comment in event.comments]
    assert [comment for event in cut for comment in event.comments] == comments


@given(streams, cuts)
def test_what_passes_unchanged_reads_the_same(stream: bytes, at: list[int]) -> None:
    events = read(*split(stream, at))
    passed = b"".join(encode_event(event, data=event.data) for event in events)
    expected = [((d or "").replace("\u2028", " "), e, i, r) for d, e, i, r in dispatched(events)]
    assert dispatched(read(passed)) == expected


@given(streams.filter(lambda stream: b"\r" not in stream and b"\xe2" not in stream), cuts)
def test_unchanged_bytes_are_neither_lost_nor_added(stream: bytes, at: list[int]) -> None:
    reader = SseReader()
    events = feed_all(reader, split(stream, at))
    passed = b"".join(event.raw for event in events)
    assert stream.startswith(passed)
    assert reader.eof() == len(stream) - len(passed)
