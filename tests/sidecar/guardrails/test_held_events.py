"""Values that a server divides over notifications, and the order and time in which those pass."""

from __future__ import annotations

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.guardrails.held_events import MOST_HELD, MOST_SOURCES, HeldEvents
from sidecar.guardrails.stream import Span

EMAIL = re2.compile(r"\b[a-z0-9]{1,20}@[a-z]{1,10}\.com\b")


def examine(text):
    return [Span(*match.span(), "EMAIL") for match in EMAIL.finditer(text)]


def mask(kind, value):
    return f"<{kind}:{value.count('@')}>"


def progress(message, token=1):
    return {
        "jsonrpc": "2.0",
        "method": "notifications/progress",
        "params": {"progressToken": token, "message": message},
    }


def log(data, logger="l"):
    return {
        "jsonrpc": "2.0",
        "method": "notifications/message",
        "params": {"level": "info", "logger": logger, "data": data},
    }


def texts(events):
    return [event["params"].get("message", event["params"].get("data")) for event in events]


def held(**options):
    return HeldEvents(examine, mask, **options)


@pytest.mark.parametrize("make", [progress, log])
def test_a_value_divided_over_two_is_masked_in_both(make):
    events = held()

    assert events.feed(make("to ann@co"), 0.0) == []
    assert texts(events.feed(make("rp.com now. "), 0.1)) == ["to <EMAIL:1>", " now. "]
    assert events.split == 1


def test_each_passes_as_an_event_of_its_own_and_unchanged_where_nothing_is_found():
    events = held()
    first, second = progress("50 percent"), progress("60 percent. ")

    out = events.feed(first, 0.0) + events.feed(second, 0.0)

    assert out == [progress("50 percent"), progress("60 percent. ")]
    assert out[0] is first
    assert out[1] is second


def test_what_cannot_go_on_is_not_held():
    assert texts(held().feed(progress("Reading files. "), 0.0)) == ["Reading files. "]


@pytest.mark.parametrize(
    "other",
    [
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 2}},
        {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": {"a": "b"}}},
        {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
    ],
)
def test_anything_else_lets_all_pass_before_it(other):
    events = held()
    events.feed(progress("ann@co"), 0.0)
    events.feed(log("bob@co"), 0.0)

    assert events.feed(other, 0.0) == [progress("ann@co"), log("bob@co"), other]
    assert events.held == 0


def test_sources_do_not_continue_each_other_and_order_is_kept():
    events = held()
    events.feed(progress("ann@co", 1), 0.0)
    events.feed(progress("rp.com", 2), 0.0)

    assert texts(events.feed(progress("rp.com. ", 2), 0.0)) == ["ann@co", "rp.com", "rp.com. "]
    assert texts(events.feed(log("x", "a"), 0.0) + events.feed(log("y", "a"), 0.0)) == ["x"]


def test_its_time_is_up_and_what_is_left_of_the_value_is_masked():
    events = held(delay=0.2)
    events.feed(progress("to ann@co"), 1.0)

    assert events.deadline == pytest.approx(1.2)
    assert events.due(1.1) == []
    assert texts(events.due(1.2)) == ["to ann@co"]
    assert events.deadline is None
    assert texts(events.feed(progress("rp.com now. "), 5.0)) == ["<EMAIL:0> now. "]
    assert events.split == 1


def test_a_value_divided_over_three_is_masked_from_where_it_is_known():
    events = held()
    out = (
        events.feed(progress("ann@"), 0)
        + events.feed(progress("corp.c"), 0)
        + events.feed(progress("om. "), 0)
    )

    assert texts(out) == ["ann@", "<EMAIL:0>", ". "]


def test_what_waits_and_what_is_remembered_is_bounded():
    events = held()
    passed = []
    for token in range(3 * MOST_SOURCES):
        passed += events.feed(progress("ann@co", token), 0.0)
        assert events.held <= MOST_HELD
    passed += events.flush()

    assert len(passed) == 3 * MOST_SOURCES
    assert len(events._sources) <= MOST_SOURCES


def test_a_source_that_never_stops_costs_no_more_memory():
    events = held(hold=64)
    for _ in range(200):
        events.feed(progress("word after word and ann@corp.com"), 0.0)
        assert all(len(source.text) <= 100 for source in events._sources.values())


PIECES = st.lists(st.sampled_from(["ann@corp.com", "bob@site.com", "and then", "one", "word, "]), max_size=12)


@settings(max_examples=300)
@given(PIECES, st.lists(st.integers(0, 400), max_size=4))
def test_any_division_gives_what_one_text_gives_where_no_value_is_in_three(words, cuts):
    text = " ".join(words)
    places = [0]
    for cut in sorted({*cuts, len(text)}):
        if places[-1] + 13 <= cut <= len(text):
            places.append(cut)
    places[-1] = max(places[-1], len(text)) if len(places) > 1 else len(text)
    events = held()
    passed = []
    pieces = [
        text[start:end] for start, end in zip([0, *places[1:-1]], places[1:] or [len(text)], strict=False)
    ]
    for piece in pieces:
        passed += events.feed(progress(piece), 0.0)
    passed += events.flush()

    expected = EMAIL.sub("<EMAIL:1>", text)
    assert "".join(texts(passed)) == expected
    assert len(passed) == len(pieces)
