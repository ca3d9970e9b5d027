"""The engine: who is asked about a message, what comes of it, and what when they fail or are late."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.policy.guardrails import (
    NO_OPTIONS,
    Action,
    DetectorKind,
    Direction,
    ExternalOptions,
    FailureMode,
    Guardrails,
    Options,
    Part,
    Processor,
    ShapeOptions,
    SqlOptions,
)
from mesh.protocol.mcp.places import Root, places_of_answer, places_of_request
from mesh.reasons import Reason
from sidecar.guardrails.engine import PLANS, Engine
from sidecar.guardrails.hit import SEPARATOR, DetectorFailed, Hit
from sidecar.guardrails.verdict import NOTHING
from sidecar.guardrails.views import CUT, View, views
from tests.support.fuzzing import examples

PII, SECRETS, SQL, INJECTION = (
    *(DetectorKind.PII, DetectorKind.SECRETS),
    *(DetectorKind.SQL, DetectorKind.INJECTION),
)


@dataclass
class Words:
    """Finds words of capitals, each under its own name."""

    name: str = "words"
    pattern: str = r"[A-Z_]{3,}"
    texts: list[str] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def scan(self, text: str) -> list[Hit]:
        self.before()
        self.texts.append(text)
        return [Hit(one.group(), one.start(), one.end()) for one in re.finditer(self.pattern, text)]


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def plain_only(text: str) -> Iterator[View]:
    yield View("plain", text, [], None)


def processor(kind: DetectorKind = PII, action: Action = Action.FLAG, **more: Any) -> Processor:
    return Processor(
        more.pop("name", kind.value), kind, action, more.pop("options", NO_OPTIONS.get(kind)), **more
    )


def engine(*processors: Processor, detector: Any = None, **more: Any) -> Engine:
    """An engine where every detector is `detector`, and texts are read as they are."""
    words = detector if detector is not None else Words()
    chosen: Callable[[DetectorKind, Options], Any] = words if callable(words) else lambda kind, options: words
    guardrails = Guardrails(processors, budget=more.pop("budget", 0.25))
    return Engine(guardrails, detector=chosen, read=more.pop("read", plain_only), **more)


def call(**arguments: Any) -> tuple[Root, ...]:
    return places_of_request(
        {"id": 1, "method": "tools/call", "params": {"name": "tool", "arguments": arguments}}
    )


def listed(description: str) -> tuple[Root, ...]:
    return places_of_answer(
        {"id": 1, "result": {"tools": [{"name": "t", "description": description}]}}, "tools/list"
    )


REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE


def test_nothing_found_is_the_verdict_of_nothing() -> None:
    assert engine(processor()).examine(call(a="quiet"), REQUEST) is NOTHING
    assert engine().examine(call(a="LOUD"), REQUEST) is NOTHING
    assert engine(processor()).examine((), REQUEST) is NOTHING


def test_a_finding_says_where_and_what() -> None:
    guard = processor()
    verdict = engine(guard).examine(call(body="a LOUD word"), REQUEST)
    assert verdict.action is Action.FLAG
    (one,) = verdict.findings
    assert (one.processor, one.kind, one.start, one.end, one.view) == (guard, "LOUD", 2, 6, "plain")
    assert (one.leaf.where, one.leaf.text, one.leaf.part) == (
        "params.arguments.body",
        "a LOUD word",
        Part.ARGUMENTS,
    )


@pytest.mark.parametrize(
    ("direction", "tools", "way", "tool", "asked"),
    [
        (Direction.BOTH, ("*",), REQUEST, "tool", True),
        (Direction.REQUEST, ("*",), REQUEST, "tool", True),
        (Direction.REQUEST, ("*",), RESPONSE, "tool", False),
        (Direction.RESPONSE, ("*",), RESPONSE, None, True),
        (Direction.BOTH, ("get_*",), REQUEST, "get_it", True),
        (Direction.BOTH, ("get_*", "tool"), REQUEST, "tool", True),
        (Direction.BOTH, ("get_*",), REQUEST, "set_it", False),
        (Direction.BOTH, ("get_*",), REQUEST, None, True),
    ],
)
def test_a_processor_is_asked_by_direction_and_tool(
    direction: Direction, tools: tuple[str, ...], way: Direction, tool: str | None, asked: bool
) -> None:
    guard = engine(processor(direction=direction, tools=tools))
    assert bool(guard.examine(call(a="LOUD"), way, tool).findings) is asked


def test_a_processor_that_is_off_is_not_asked() -> None:
    words = Words()
    assert engine(processor(action=Action.OFF), detector=words).examine(call(a="LOUD"), REQUEST) is NOTHING
    assert words.texts == []


def test_a_detector_that_processors_share_is_asked_once() -> None:
    words = Words()
    first = processor(action=Action.FLAG, name="first")
    second = processor(action=Action.MASK, name="second", timeout=1.0)
    verdict = engine(first, second, detector=words).examine(call(a="LOUD"), REQUEST)
    assert len(words.texts) == 1
    assert [one.processor for one in verdict.findings] == [first, second]
    assert verdict.action is Action.MASK


def test_sql_processors_share_a_detector_whatever_statements_they_allow() -> None:
    words = Words()
    allowing = SqlOptions((("read_*", frozenset({"select"})),))
    kinds = (processor(SQL, name="a"), processor(SQL, name="b", options=allowing))
    engine(*kinds, detector=words).examine(call(a="LOUD"), REQUEST)
    assert len(words.texts) == 1


def test_only_the_parts_of_a_processor_count_and_others_are_not_read() -> None:
    words = Words()
    results = processor(parts=frozenset({Part.RESULTS}))
    assert engine(results, detector=words).examine(call(a="LOUD"), REQUEST) is NOTHING
    assert words.texts == []
    both = (results, processor(SECRETS, parts=frozenset({Part.ARGUMENTS})))
    assert [one.processor.detector for one in engine(*both).examine(call(a="LOUD"), REQUEST).findings] == [
        SECRETS
    ]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (PII, Reason.GUARD_PII),
        (SECRETS, Reason.GUARD_SECRET),
        (SQL, Reason.GUARD_SQL),
        (INJECTION, Reason.GUARD_INJECTION),
        (DetectorKind.EXFILTRATION, Reason.GUARD_EXFILTRATION),
        (DetectorKind.TERMS, Reason.GUARD_TERM),
    ],
)
def test_the_reason_of_a_block_is_what_found_it(kind: DetectorKind, reason: Reason) -> None:
    verdict = engine(processor(kind, Action.BLOCK)).examine(call(a="LOUD"), REQUEST)
    assert (verdict.action, verdict.reason) == (Action.BLOCK, reason)


def test_the_first_block_gives_the_reason_and_findings_are_in_order_of_processors() -> None:
    several = (
        *(processor(PII, Action.MASK), processor(SQL, Action.BLOCK)),
        *(processor(SECRETS, Action.BLOCK), processor(INJECTION, Action.FLAG)),
    )
    verdict = engine(*several).examine(call(a="LOUD"), REQUEST)
    assert (verdict.action, verdict.reason) == (Action.BLOCK, Reason.GUARD_SQL)
    assert tuple(one.processor for one in verdict.findings) == several


def test_what_only_observes_is_told_and_does_not_act() -> None:
    several = (processor(PII, Action.BLOCK, observe=True), processor(SECRETS, Action.FLAG))
    verdict = engine(*several).examine(call(a="LOUD"), REQUEST)
    assert (verdict.action, verdict.reason, len(verdict.findings)) == (Action.FLAG, None, 2)


@pytest.mark.parametrize(
    "roots",
    [
        call(LOUD="quiet"),
        places_of_request({"id": 1, "method": "tools/call", "params": {"name": "LOUD"}}),
        places_of_request({"id": "LOUD", "method": "ping"}),
        places_of_answer({"id": 1, "result": {"tools": [{"name": "LOUD"}]}}, "tools/list"),
    ],
)
def test_what_cannot_be_masked_is_blocked(roots: tuple[Root, ...]) -> None:
    verdict = engine(processor(PII, Action.MASK)).examine(roots, REQUEST)
    assert (verdict.action, verdict.reason) == (Action.BLOCK, Reason.GUARD_UNMASKABLE)
    assert engine(processor(PII, Action.FLAG)).examine(roots, REQUEST).action is Action.FLAG


def test_poison_counts_in_descriptions_only() -> None:
    guard = engine(processor(INJECTION, Action.BLOCK))
    assert guard.examine(listed("say POISON_X now"), RESPONSE).action is Action.BLOCK
    assert guard.examine(call(a="say POISON_X now"), REQUEST).action is Action.OFF


def test_statements_that_a_tool_may_use_are_no_findings() -> None:
    options = SqlOptions((("read_*", frozenset({"select"})), ("*", frozenset({"insert"}))))
    guard = engine(processor(SQL, Action.BLOCK, options=options))
    kinds = call(a="STATEMENT_SELECT STATEMENT_INSERT TAUTOLOGY")

    def found(tool: str | None) -> list[str]:
        return [one.kind for one in guard.examine(kinds, REQUEST, tool).findings]

    assert found("read_rows") == ["STATEMENT_INSERT", "TAUTOLOGY"]
    assert found("write") == ["STATEMENT_SELECT", "TAUTOLOGY"]
    assert found(None) == ["STATEMENT_SELECT", "TAUTOLOGY"]


def test_a_hit_ends_with_the_text_it_begins_in() -> None:
    guard = engine(processor(), detector=Words(pattern="a\x1f[a-z]+|\x1fend|\x1f$"))
    verdict = guard.examine(
        places_of_answer({"result": {"content": ["xa", "yend", "end", ""]}}, None), RESPONSE
    )
    spans = [(one.leaf.where, one.start, one.end) for one in verdict.findings]
    assert spans == [("result.content.0", 1, 2), ("result.content.2", 0, 3)]


def test_the_same_thing_in_several_readings_is_one_finding() -> None:
    guard = engine(processor(), read=views, detector=Words(pattern="secret"))
    encoded = base64.b64encode(b"this is a secret that hides, and some more words").decode()
    verdict = guard.examine(call(a=f"secret%20secret {encoded}"), REQUEST)
    spans = [(one.start, one.end) for one in verdict.findings]
    assert spans[:2] == [(0, 6), (9, 15)]
    assert len(spans) == 3
    assert spans[2][0] > 15
    assert "base64" in verdict.findings[2].view


def test_external_processors_are_listed_and_not_asked() -> None:
    one = processor(DetectorKind.EXTERNAL, options=ExternalOptions("webhook", "http://x"), tools=("get_*",))
    guard = engine(one, processor(), detector=Words())
    assert guard.external(REQUEST, "get_it") == (one,)
    assert guard.external(REQUEST, "set_it") == ()
    assert engine(one).examine(call(a="LOUD"), REQUEST) is NOTHING


LIMITS = ShapeOptions(items=2)


@pytest.mark.parametrize(("action", "expected"), [(Action.BLOCK, Action.BLOCK), (Action.MASK, Action.BLOCK)])
def test_a_message_of_a_wrong_shape_is_not_read_where_that_blocks(action: Action, expected: Action) -> None:
    words = Words()
    guard = engine(processor(DetectorKind.SHAPE, action, options=LIMITS), processor(), detector=words)
    verdict = guard.examine(call(a=[1, 2, 3]), REQUEST)
    assert (verdict.action, verdict.reason) == (expected, Reason.GUARD_SHAPE)
    assert [one.kind for one in verdict.findings] == ["TOO_MANY_ITEMS"]
    assert words.texts == []
    assert guard.examine(call(a=[1]), REQUEST) is NOTHING


def test_a_message_of_a_wrong_shape_is_read_where_that_is_only_told() -> None:
    shape = processor(DetectorKind.SHAPE, Action.FLAG, options=LIMITS)
    verdict = engine(shape, processor(action=Action.MASK)).examine(call(a=["LOUD", 2, 3]), REQUEST)
    assert [one.kind for one in verdict.findings] == ["TOO_MANY_ITEMS", "LOUD"]
    assert verdict.action is Action.MASK
    assert engine(shape).examine(call(a=[1, 2, 3]), REQUEST).action is Action.FLAG
    elsewhere = replace(shape, parts=frozenset({Part.RESULTS}))
    assert engine(elsewhere).examine(call(a=[1, 2, 3]), REQUEST) is NOTHING


def failing(error: BaseException) -> Words:
    def fail() -> None:
        raise error

    return Words(before=fail)


@pytest.mark.parametrize(
    "error",
    [
        *(DetectorFailed("x"), re2.error("x"), RecursionError(), MemoryError(), ZeroDivisionError()),
        *(KeyError("x"), IndexError("x"), TypeError("x"), AttributeError("x"), AssertionError()),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x"),
    ],
)
def test_a_detector_that_raises_has_failed(error: Exception) -> None:
    closed = engine(processor(PII, Action.MASK), detector=failing(error)).examine(call(a="LOUD"), REQUEST)
    assert (closed.action, closed.reason) == (Action.BLOCK, Reason.GUARD_FAILED)
    assert closed.failed == (("pii", Reason.GUARD_FAILED),)
    opened = processor(PII, Action.MASK, failure=FailureMode.OPEN)
    verdict = engine(opened, detector=failing(error)).examine(call(a="LOUD"), REQUEST)
    assert (verdict.action, verdict.reason, verdict.failed) == (Action.OFF, None, closed.failed)


def test_what_a_detector_found_before_it_failed_is_kept() -> None:
    flagging = processor(PII, Action.FLAG)
    partly = failing(DetectorFailed("too much", [Hit("LOUD", 0, 4)]))
    verdict = engine(flagging, detector=partly).examine(call(a="LOUD"), REQUEST)
    assert len(verdict.findings) == 1
    assert verdict.failed == (("pii", Reason.GUARD_FAILED),)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), OSError()])
def test_what_is_no_mistake_of_a_detector_is_not_caught(error: BaseException) -> None:
    with pytest.raises(type(error)):
        engine(processor(), detector=failing(error)).examine(call(a="LOUD"), REQUEST)


@pytest.mark.parametrize("how", [{"action": Action.FLAG}, {"action": Action.BLOCK, "observe": True}])
def test_what_would_not_act_does_not_block_by_failing(how: dict[str, Any]) -> None:
    verdict = engine(processor(**how), detector=failing(KeyError())).examine(call(a="LOUD"), REQUEST)
    assert (verdict.action, verdict.failed) == (Action.OFF, (("pii", Reason.GUARD_FAILED),))


def test_others_are_asked_when_one_fails() -> None:
    def chosen(kind: DetectorKind, options: Options) -> Words:
        return failing(KeyError()) if kind is PII else Words()

    several = (processor(PII, Action.MASK, failure=FailureMode.OPEN), processor(SECRETS, Action.MASK))
    verdict = engine(*several, detector=chosen).examine(call(a="LOUD"), REQUEST)
    assert verdict.action is Action.MASK
    assert [one.processor.detector for one in verdict.findings] == [SECRETS]


def test_a_hit_outside_the_text_is_a_failure_of_its_detector() -> None:
    class Wrong(Words):
        def scan(self, text: str) -> list[Hit]:
            return [Hit("X", 0, len(text) + 5)]

    verdict = engine(processor(PII, Action.MASK), detector=Wrong()).examine(call(a="x"), REQUEST)
    assert verdict.reason is Reason.GUARD_FAILED


def test_readings_that_cannot_be_made_fail_every_detector() -> None:
    def broken(text: str) -> Iterator[View]:
        yield from plain_only(text)
        raise ValueError("no")

    several = (processor(PII, Action.FLAG), processor(SECRETS, Action.MASK))
    verdict = engine(*several, read=broken).examine(call(a="LOUD"), REQUEST)
    assert verdict.failed == (("pii", Reason.GUARD_FAILED), ("secrets", Reason.GUARD_FAILED))
    assert verdict.reason is Reason.GUARD_FAILED
    assert len(verdict.findings) == 2


def test_what_was_left_undecoded_counts_as_too_late() -> None:
    def bounded(text: str) -> Iterator[View]:
        yield from plain_only(text)
        yield View(CUT, "", [], None)

    verdict = engine(processor(PII, Action.BLOCK), read=bounded).examine(call(a="x"), REQUEST)
    assert verdict.reason is Reason.GUARD_TIMEOUT


def long_call() -> tuple[Root, ...]:
    """Four slices, the last with something in it."""
    return call(a="x" * 60000, b="x" * 60000, c="x" * 60000, d="x" * 60000 + " LOUD")


def test_a_message_that_takes_longer_than_its_budget_is_late() -> None:
    clock = Clock()
    words = Words(before=lambda: clock.pass_by(0.1))
    guard = engine(processor(PII, Action.BLOCK, timeout=9.0), detector=words, budget=0.15, clock=clock)
    verdict = guard.examine(long_call(), REQUEST)
    assert (verdict.action, verdict.reason) == (Action.BLOCK, Reason.GUARD_TIMEOUT)
    assert len(words.texts) == 2
    assert guard.examine(call(a="quiet"), REQUEST) is NOTHING


def test_messages_that_come_together_share_their_time() -> None:
    clock = Clock()
    words = Words(before=lambda: clock.pass_by(0.1))
    guard = engine(processor(PII, Action.BLOCK, timeout=9.0), detector=words, budget=0.15, clock=clock)
    until = guard.deadline()
    verdicts = [guard.examine(call(a=f"quiet {n}"), REQUEST, deadline=until) for n in range(5)]
    assert [one.reason for one in verdicts] == [None, None, *[Reason.GUARD_TIMEOUT] * 3]
    assert len(words.texts) == 2


def test_what_came_too_late_passes_where_it_would_only_be_told() -> None:
    guard = engine(processor(PII, Action.FLAG), clock=Clock())
    verdict = guard.examine(call(a="LOUD"), REQUEST, deadline=-1.0)
    assert (verdict.action, verdict.failed) == (Action.OFF, (("pii", Reason.GUARD_TIMEOUT),))


def test_what_was_found_in_time_counts_where_the_rest_is_late() -> None:
    clock = Clock()
    words = Words(before=lambda: clock.pass_by(0.1))
    opened = processor(PII, Action.MASK, timeout=9.0, failure=FailureMode.OPEN)
    guard = engine(opened, detector=words, budget=0.15, clock=clock)
    verdict = guard.examine(call(a="LOUD " + "x" * 60000, b="x" * 60000, c="x" * 60000), REQUEST)
    assert verdict.action is Action.MASK
    assert [one.kind for one in verdict.findings] == ["LOUD"]
    assert verdict.failed == (("pii", Reason.GUARD_TIMEOUT),)


def test_a_detector_that_takes_longer_than_its_timeout_is_not_asked_again_and_others_are() -> None:
    clock = Clock()
    slow, quick = Words(before=lambda: clock.pass_by(0.1)), Words()
    guard = engine(
        processor(PII, Action.MASK, timeout=0.05),
        processor(SECRETS, Action.FLAG),
        detector=lambda kind, options: slow if kind is PII else quick,
        budget=9.0,
        clock=clock,
    )
    verdict = guard.examine(long_call(), REQUEST)
    assert (len(slow.texts), len(quick.texts) > 3) == (1, True)
    assert verdict.failed == (("pii", Reason.GUARD_TIMEOUT),)
    assert verdict.reason is Reason.GUARD_TIMEOUT
    assert [one.processor.detector for one in verdict.findings] == [SECRETS]


def test_no_more_is_looked_at_when_every_detector_is_late() -> None:
    clock = Clock()
    words = Words(before=lambda: clock.pass_by(0.1))
    guard = engine(processor(PII, Action.MASK, timeout=0.05), detector=words, budget=9.0, clock=clock)
    assert guard.examine(long_call(), REQUEST).failed == (("pii", Reason.GUARD_TIMEOUT),)
    assert len(words.texts) == 1


def test_plans_of_any_number_of_tools_take_bounded_room() -> None:
    guard = engine(processor())
    for number in range(PLANS * 2):
        guard.examine(call(a="x"), REQUEST, f"tool{number}")
    assert len(guard._plans) <= PLANS


@settings(max_examples=examples(15), deadline=None)
@given(st.integers(0, 1 << 30), st.booleans())
def test_nothing_is_missed_where_long_texts_are_cut(seed: int, in_texts: bool) -> None:
    chance = random.Random(seed)
    word = "N" * chance.choice((3, 40, 900, 4000))
    text = bytearray(b"x" * 300_000)
    places = sorted(chance.sample(range(0, 300_000 - len(word), len(word) + 1), 12))
    for place in places:
        text[place : place + len(word)] = word.encode()
    body = text.decode()
    arguments = dict(enumerate(re.split("(?<=x)x{40,}(?=x)", body))) if in_texts else {0: body}
    verdict = engine(processor(), detector=Words(pattern="N+")).examine(
        call(**{f"k{n}": one for n, one in arguments.items()}), REQUEST
    )
    expected = sum(len(re.findall("N+", one)) for one in arguments.values())
    assert len(verdict.findings) == expected
    for one in verdict.findings:
        assert set(one.leaf.text[one.start : one.end]) == {"N"}
        assert one.leaf.text[one.end : one.end + 1] != "N"
        assert one.start == 0 or one.leaf.text[one.start - 1] != "N"


@settings(max_examples=examples(100), deadline=None)
@given(
    st.recursive(
        st.text("aB\x1f ", max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=4)
        ),
        max_leaves=20,
    )
)
def test_spans_are_within_their_leaves(value: Any) -> None:
    verdict = engine(processor(), detector=Words(pattern="B[^ ]*")).examine(call(a=value), REQUEST)
    for one in verdict.findings:
        assert 0 <= one.start < one.end <= len(one.leaf.text)
        assert one.leaf.text[one.start] == "B"
    texts = engine(processor(), detector=(words := Words())).examine(call(a=value), REQUEST) and words.texts
    assert not texts or all(SEPARATOR in text for text in texts)
