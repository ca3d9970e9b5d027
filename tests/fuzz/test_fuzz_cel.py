"""Expressions and values from strangers: only the documented exceptions escape, and no answer is made up."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mesh.cel import CelExhausted, CelFailed, CelInvalid, CelType, compile_expression
from mesh.cel.expression import MAX_STEPS

ARGS = {"args": CelType.JSON_OBJECT}
SEEDS = (
    "args.x == 1 && args.y in ['a', b'c', 1.5, 1u, null, true]",
    "args.l.all(a, args.l.exists(b, a.size() + b.size() > 1)) || has(args.?x.y)",
    "args.?x.orValue({'k': [1]}).k.map(i, i + 1).filter(i, i % 2 == 0) == []",
    "args.s.matches(r'^[a-z]{1,63}$') ? args.s.split('/').join(',') != '' : false",
    "timestamp('2026-01-01T00:00:00Z').getHours('UTC') < int(duration('1h').getMinutes())",
    "'%s %d'.format([args.s, size(args.l)]).replace('a', 'bb').lowerAscii().startsWith(\"\"\"x\"\"\")",
)
WORDS = [word for seed in SEEDS for word in seed.replace("(", " ( ").replace(".", " . ").split()]

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
)
arguments = st.dictionaries(st.sampled_from(["x", "y", "l", "s", "k"]) | st.text(max_size=5), json_values)


def ask(text: str, args: dict[str, Any]) -> bool | None:
    """The answer, None where there is none."""
    said: object
    try:
        expression = compile_expression(text, ARGS)
        answer = expression.evaluate({"args": args})
    except CelInvalid as invalid:
        said, answer = all(invalid.errors), None
    except (CelFailed, CelExhausted) as failed:
        said, answer = failed.detail, None
    else:
        said = expression.steps({"args": args}) <= MAX_STEPS
    assert said
    assert answer in (True, False, None)
    return answer


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join), args=arguments
)
def test_any_text_is_answered_or_refused(text: str, args: dict[str, Any]) -> None:
    ask(text, args)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.sampled_from(SEEDS), chance=st.randoms(use_true_random=False), args=arguments)
def test_mutated_expressions_are_answered_or_refused(
    seed: str, chance: random.Random, args: dict[str, Any]
) -> None:
    chars = list(seed)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(chars))
        chars[at : at + chance.randint(0, 2)] = chance.choice(
            ["", "(", ")", ".", "'", "\\", "\0", "?", "!", "é", "9"]
        )
    ask("".join(chars) or "-", args)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=json_values)
def test_a_value_is_what_it_is_for_an_expression_too(value: Any) -> None:
    """Equal to itself, and not to a string with more behind it; or without an answer."""
    same = ask("args.x == args.y", {"x": value, "y": value})
    assert same in (True, None) or "nan" in repr(value)
    if isinstance(value, str):
        assert ask("args.x == args.y", {"x": value, "y": f"{value}\0"}) is None
        assert ask("args.x == args.y", {"x": value, "y": f"{value}!"}) in (False, None)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    left=st.integers() | st.floats(allow_nan=False),
    right=st.integers() | st.floats(allow_nan=False),
    sign=st.sampled_from(["==", "!=", "<", "<=", ">", ">="]),
)
def test_numbers_compare_as_numbers_whatever_their_type(left: float, right: float, sign: str) -> None:
    answer = ask(f"args.x {sign} args.y", {"x": left, "y": right})
    if answer is None:
        assert not all(isinstance(n, float) or -(2**63) <= n < 2**64 for n in (left, right))
    elif isinstance(left, float) == isinstance(right, float) or max(abs(left), abs(right)) < 2**53:
        expected = {"==": left == right, "!=": left != right, "<": left < right, "<=": left <= right}
        expected |= {">": left > right, ">=": left >= right}
        assert answer is expected[sign], (left, right)
