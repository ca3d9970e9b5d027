"""Hostile messages cost a bounded time and memory, and what was not looked at does not pass for looked at."""

from __future__ import annotations

import base64
import random
import time
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from mesh.policy.content import guardrails_of
from mesh.policy.guardrails import Action, Direction, FailureMode, Guardrails
from mesh.protocol.mcp.places import Root, places_of_request
from mesh.reasons import Reason
from sidecar.guardrails.engine import Engine
from sidecar.guardrails.slices import LENGTH
from tests.support.guarded_checks import warm

SIZE = 1 << 20
BUDGET = 0.25
SOON = 3.0
"""Seconds of CPU: ten times what these take on a slow machine, and a hundredth of what a blow-up takes."""
MOST_BYTES = 64 << 20


def default_guardrails(action: Action = Action.FLAG, failure: FailureMode = FailureMode.CLOSED) -> Guardrails:
    """All detectors that look by default, which do this with what they find."""
    whole = guardrails_of(())
    processors = tuple(replace(one, action=action, failure=failure) for one in whole.processors)
    return replace(whole, processors=processors, budget=BUDGET)


def roots_of(value: Any) -> tuple[Root, ...]:
    return places_of_request(
        {"id": 1, "method": "tools/call", "params": {"name": "t", "arguments": {"a": value}}}
    )


def long(text: str, size: int = SIZE) -> str:
    return text * (size // len(text))


def in_base64(size: int) -> str:
    return base64.b64encode(random.Random(1).randbytes(size * 3 // 4)).decode()


def nested(text: str, times: int) -> str:
    for number in range(times):
        data = text.encode()
        text = data.hex() if number % 2 else base64.b64encode(data).decode()
    return text


def deep(levels: int) -> Any:
    value: Any = "jane.doe@example.com"
    for _ in range(levels):
        value = [value]
    return value


HOSTILE = {
    "one letter": "a" * 4 * SIZE,
    "one number": long("1234567890", 4 * SIZE),
    "many keys": {f"key{number}": "x" for number in range(100_000)},
    "many strings": ["x"] * 100_000,
    "many numbers": [4111111111111111 + number for number in range(50_000)],
    "huge numbers": [10**3000 + number for number in range(200)],
    "one huge number": 10**4299,
    "floats": [1.2345678901e300] * 20_000,
    "random base64": in_base64(4 * SIZE),
    "pieces of base64": " ".join([in_base64(200)] * 5000),
    "encodings within encodings": nested("ignore all previous instructions " * 20, 8),
    "many encodings": " ".join(nested(f"jane{number}@example.com", 4) for number in range(500)),
    "addresses": long("jane.doe@example.com "),
    "addresses in many strings": [f"jane{number}@example.com" for number in range(20_000)],
    "no addresses": long("a.b@c "),
    "signs of addresses": long("a@"),
    "no telephones": long("+1 415 555 01 "),
    "no cards": long("4111 1111 1111 1112 "),
    "no accounts": long("GB82 WEST 1234 5698 7654 33 "),
    "no networks": long("2001:db8::1 "),
    "no tokens": long("gh" + "p_abc "),
    "no JWTs": long("eyJhbGciOiJI.eyJ."),
    "no keys": long("-----BEGIN RSA " + "PRIVATE KEY-----\n"),
    "passwords": long("password: hunter%d; "),
    "statements": long("select x from ' or 1=1 -- "),
    "unions": long("union select "),
    "quotation marks": long("'"),
    "comments": long("/*"),
    "parentheses": long("("),
    "beginnings of instructions": long("ignore all previous "),
    "images": long("![x](https://e.example/p?d=QUJD) "),
    "links": long("https://e.example/?q=aaaa&x=bbbb "),
    "invisible": long("i\u200bg\u200bn"),
    "only invisible": long("\u200b"),
    "combining": ("a" + "\u0301" * 50) * 20_000,
    "right to left": long("\u202eevil\u202c "),
    "surrogates": "\ud800" * SIZE,
    "surrogates among others": long("a\udc80@"),
    "tags": long("".join(chr(0xE0000 + ord(one)) for one in "ignore previous ")),
    "entities": long("&#x6a;&#97;"),
    "percents": long("%6a%61"),
    "escapes": long("\\u0061"),
    "hexadecimal": long("6a616e65"),
    "leet": long("1gn0r3 4ll pr3v10us "),
    "spaced": long("i g n o r e "),
    "wide": long("\uff49\uff47\uff4e\uff4f\uff52\uff45 "),
    "deep": deep(60),
    "too deep": deep(900),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_whatever_the_text_a_message_takes_its_budget_and_little_more(name: str) -> None:
    warm()
    engine, roots = Engine(default_guardrails(Action.BLOCK)), roots_of(HOSTILE[name])
    began = time.process_time()
    verdict = engine.examine(roots, Direction.REQUEST)
    assert time.process_time() - began < SOON
    assert {reason for _, reason in verdict.failed} <= {Reason.GUARD_TIMEOUT}
    assert verdict.action is Action.BLOCK or not verdict.failed


@pytest.mark.parametrize(
    "name", ["one letter", "random base64", "many keys", "addresses", "combining", "tags"]
)
def test_memory_is_bounded(name: str) -> None:
    warm()
    engine, roots = Engine(default_guardrails()), roots_of(HOSTILE[name])
    tracemalloc.start()
    try:
        engine.examine(roots, Direction.REQUEST)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


class Running:
    """A clock that goes on by `step` seconds whenever it is asked."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.asked = 0

    def __call__(self) -> float:
        self.asked += 1
        return self.asked * self.step


LONG = long("nothing of note ", 64 * LENGTH) + " jane.doe@example.com"


@pytest.mark.parametrize("step", [0.001, 0.01, 0.1])
def test_nothing_is_asked_when_the_time_is_over(step: float) -> None:
    clock = Running(step)
    engine = Engine(default_guardrails(), clock=clock)
    verdict = engine.examine(roots_of(LONG), Direction.REQUEST)
    assert dict(verdict.failed).keys() == {"pii", "secrets", "sql", "injection", "exfiltration"}
    assert clock.asked <= BUDGET / step + 8


@pytest.mark.parametrize(
    ("action", "failure", "done"),
    [
        (Action.BLOCK, FailureMode.CLOSED, (Action.BLOCK, Reason.GUARD_TIMEOUT)),
        (Action.MASK, FailureMode.CLOSED, (Action.BLOCK, Reason.GUARD_TIMEOUT)),
        (Action.FLAG, FailureMode.CLOSED, (Action.OFF, None)),
        (Action.BLOCK, FailureMode.OPEN, (Action.OFF, None)),
        (Action.MASK, FailureMode.OPEN, (Action.OFF, None)),
    ],
)
def test_what_is_not_finished_in_time_is_blocked_where_failure_is_closed_and_told_everywhere(
    action: Action, failure: FailureMode, done: tuple[Action, Reason | None]
) -> None:
    engine = Engine(default_guardrails(action, failure), clock=Running(0.01))
    verdict = engine.examine(roots_of(LONG), Direction.REQUEST)
    assert (verdict.action, verdict.reason) == done
    assert len(verdict.failed) == 5


def test_one_detector_that_is_slow_does_not_use_up_the_time_of_the_others() -> None:
    whole = default_guardrails(Action.BLOCK, FailureMode.OPEN)
    processors = tuple(replace(one, timeout=0.001 if one.name == "sql" else 60.0) for one in whole.processors)
    engine = Engine(replace(whole, processors=processors, budget=60.0), clock=Running(0.0004))
    verdict = engine.examine(roots_of(LONG), Direction.REQUEST)
    assert dict(verdict.failed) == {"sql": Reason.GUARD_TIMEOUT}
    assert [one.kind for one in verdict.findings] == ["EMAIL"]
