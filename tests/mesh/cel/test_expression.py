from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import Any

import pytest

from mesh.cel import CelExhausted, CelFailed, CelInvalid, CelType, compile_expression
from mesh.cel.expression import MAX_EXPRESSION, MAX_STEPS, Expression

ARGS = {"args": CelType.JSON_OBJECT}


def compiled(text: str) -> Expression:
    return compile_expression(text, ARGS)


def holds(text: str, args: dict[str, Any]) -> bool:
    return compiled(text).evaluate({"args": args})


@pytest.mark.parametrize(
    ("text", "args", "answer"),
    [
        ("args.x == 1", {"x": 1}, True),
        ("args.x == 1", {"x": 1.0}, True),
        ("args.x == 1.0", {"x": 1}, True),
        ("args.x == 1", {"x": True}, False),
        ("args.x == 1", {"x": "1"}, False),
        ("args.x == null", {"x": None}, True),
        ("args.x < 1.5", {"x": 1}, True),
        ("type(args.x) == int", {"x": 2**63 - 1}, True),
        ("type(args.x) == double", {"x": 1.0}, True),
        ("args.x == -9223372036854775808", {"x": -(2**63)}, True),
        ("args.x == 18446744073709551615u", {"x": 2**64 - 1}, True),
        ("args.x in [1, 2]", {"x": 2}, True),
        ("args.x in ['a', 'b']", {"x": "c"}, False),
        ("'x' in args", {"x": None}, True),
        ("has(args.x)", {}, False),
        ("has(args.x) && args.x == 1", {}, False),
        ("args.?x.orValue('') == ''", {}, True),
        ("args['a.b'] == 'é😀'", {"a.b": "é😀"}, True),
        ("args.s.size() == 2", {"s": "é😀"}, True),
        ("args.a.b[1].c == 'd'", {"a": {"b": [0, {"c": "d"}]}}, True),
        ("args.l.all(x, x > 0) && args.l.exists(x, x == 2)", {"l": [1, 2]}, True),
        ("args.l.filter(x, x > 1).size() == 1", {"l": [1, 2]}, True),
        ("args.s.matches('^[a-z]+$')", {"s": "abc"}, True),
        ("matches(args.s, '^[a-z]+$')", {"s": "aB"}, False),
        ("args.s.lowerAscii().startsWith('ab')", {"s": "ABC"}, True),
        ("args.p.split('/').all(part, part != '..')", {"p": "/a/../b"}, False),
        ("args.y == 1 || args.x == 1", {"x": 1}, True),
        ("args.x == 1 ? true : args.y", {"x": 1}, True),
        ("args.x", {"x": True}, True),
    ],
)
def test_expressions_are_asked_about_json(text: str, args: dict[str, Any], answer: bool) -> None:
    assert holds(text, args) is answer


@pytest.mark.parametrize(
    ("text", "args", "said"),
    [
        ("args.x == 1", {}, 'Key not found in map : "x"'),
        ("has(args.x.y)", {}, 'Key not found in map : "x"'),
        ("args.x > 1", {"x": "2"}, "No matching overloads found"),
        ("args.x && true", {"x": 1}, "No matching overloads found"),
        ("args.l[3] == 1", {"l": [1]}, "Index error"),
        ("args.x", {"x": 1}, "neither true nor false"),
        ("args.x", {"x": "true"}, "neither true nor false"),
        ("1 / args.x == 1", {"x": 0}, "divide by zero"),
        ("args.x == 1", {"x": 2**64}, "beyond 64 bits"),
        ("args.x == 1", {"x": 1, "y": [-(2**63) - 1]}, "beyond 64 bits"),
        ("args.x == 'a'", {"x": "a\0b"}, "U+0000"),
        ("args.x == 'a'", {"x": "a", "x\0y": 1}, "U+0000"),
        ("args.x == 'a'", {"x": "\ud800"}, "surrogate"),
        ("args.x == 'a'", {"x": (1, 2)}, "tuple"),
    ],
)
def test_what_has_no_answer_fails(text: str, args: dict[str, Any], said: str) -> None:
    with pytest.raises(CelFailed) as failed:
        holds(text, args)
    assert said in failed.value.detail


def test_a_variable_that_is_not_given_is_a_failure() -> None:
    with pytest.raises(CelFailed, match="args"):
        compiled("args.x == 1").evaluate({})


def test_variables_that_are_not_read_are_not_looked_at() -> None:
    both = compile_expression("a == 1", {"a": CelType.INT, "b": CelType.STRING})
    assert both.variables == {"a"}
    assert both.evaluate({"a": 1, "b": "\0", "c": object()})
    assert both.steps({"a": 1, "b": "\0", "c": object()}) > 0


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        ("", ["it is empty"]),
        (" \n", ["it is empty"]),
        ("args.x == 1 &", ["line 1, column 13: Syntax error"]),
        (
            "foo == 1 ||\n bar.baz",
            ["line 1, column 1: foo is not known; known are args", "line 2, column 5: bar.baz"],
        ),
        ("args.x + 'a'", ["it gives string, where true or false is needed"]),
        ("args", ["it gives map<string, dyn>, where"]),
        ("'a' == 1", ["line 1, column 5: found no matching overload for '_==_'"]),
        ("args.x.matches(args.y)", ["matches() takes its pattern as a literal"]),
        ("args.x.matches('(')", ["the pattern '(' is no regular expression of RE2: missing ): ("]),
        ("args.x.matches('(a?){500}a{500}')", ["of 1000 that are allowed"]),
        (r"args.x.matches(r'\pL{1,1000}')", ["the pattern"]),
        ("timestamp(0).getHours(args.zone) == 1", ["getHours() takes its time zone as a literal"]),
        (
            "google.protobuf.Timestamp{seconds: 1} == timestamp(1)",
            ["messages such as google.protobuf.Timestamp"],
        ),
        ("args.x == '" + "a" * MAX_EXPRESSION + "'", ["characters, of 4096 that are allowed"]),
        ("(" * 200 + "true" + ")" * 200, ["recursion limit"]),
        ("||".join(["1==1"] * 680), ["it has more than 2000 parts"]),
        ("args.?x" + ".optMap(x, x)" * 5 + ".hasValue()", ["each doubles its operand"]),
        ("args.l.all(a, " * 5 + "true" + ")" * 5, ["its loops are nested deeper than 4"]),
        ("true \0", ["U+0000"]),
        ("'\ud800' == ''", ["surrogate"]),
        ("args.x.foo()", ["foo"]),
    ],
)
def test_what_is_wrong_with_an_expression_is_said(text: str, errors: list[str]) -> None:
    with pytest.raises(CelInvalid) as invalid:
        compiled(text)
    assert len(invalid.value.errors) >= len(errors)
    for error, said in zip(errors, invalid.value.errors, strict=False):
        assert error in said
    assert not any("INVALID_ARGUMENT" in said for said in invalid.value.errors)


MANY = list(range(9000))
HOSTILE = [
    ("args.l.all(a, args.l.all(b, args.l.all(c, a + b + c >= 0)))", {"l": list(range(300))}),
    ("args.l.all(a, args.l.all(b, a + b >= 0))", {"l": list(range(300))}),
    ("args.l.map(a, a).size() > 0", {"l": MANY}),
    ("args.l.filter(a, a > 0).size() > 0", {"l": MANY}),
    ("args.l.all(a, args.l == args.l)", {"l": MANY}),
    ("args.l.all(a, a in args.l)", {"l": MANY}),
    ("args.s.contains(args.t)", {"s": "a" * 1_000_000, "t": "a" * 500_000 + "b"}),
    ("args.l.all(a, !args.s.contains('b'))", {"l": MANY, "s": "a" * 100_000}),
    ("args.s.matches('[ab]*a[ab]{100}x')", {"s": "ab" * 10_000}),
    ("args.l.all(a, !a.matches('(a?){100}b'))", {"l": ["a"] * 1000}),
    ("args.s.replace('a', args.s).size() > 0", {"s": "a" * 100_000}),
    (
        "[args.s].map(x, x + x + x + x)" + ".map(x, x + x + x + x)" * 3 + "[0].size() > 0",
        {"s": "a" * 1_000_000},
    ),
    ("args.l.join(args.l[0]).size() > 0", {"l": ["a" * 1_000] * 5000}),
    ("args.l.size() > 0", {"l": [1] * 2_000_000}),
    ("args.s.size() > 0", {"s": "a" * (16 << 20)}),
]


@pytest.mark.parametrize(("text", "args"), HOSTILE, ids=[text[:40] for text, _ in HOSTILE])
def test_what_could_take_long_is_not_asked(text: str, args: dict[str, Any]) -> None:
    with pytest.raises(CelExhausted):
        holds(text, args)


def test_loops_end_at_the_librarys_own_budget_where_each_round_is_cheap() -> None:
    with pytest.raises(CelExhausted, match="10,000 rounds"):
        holds("args.l.all(a, args.l.all(b, true))", {"l": list(range(150))})


@pytest.mark.parametrize(
    ("text", "args"),
    [
        (
            "args.path.startsWith('/tmp/') && args.content.size() > 0",
            {"path": "/tmp/x", "content": "a" * (4 << 20)},
        ),
        ("args.name.matches('^[a-z0-9-]{1,63}$')", {"name": "a-1", "content": "a" * (4 << 20)}),
        ("args.l.all(x, x.startsWith('a'))", {"l": ["a" * 50] * 5000}),
        ("args.l.filter(x, x.size() > 3).size() == 0", {"l": ["abc"] * 100}),
        ("args.p.split('/').all(part, part != '..')", {"p": "/a/b/" * 200}),
        ("args.x in args.l", {"l": MANY, "x": 5}),
    ],
)
def test_sane_rules_are_answered_for_large_arguments(text: str, args: dict[str, Any]) -> None:
    assert holds(text, args)
    assert compiled(text).steps({"args": args}) <= MAX_STEPS


def test_nesting_of_values_is_bounded() -> None:
    value: Any = 1
    for _ in range(200):
        value = [value]
    with pytest.raises(CelExhausted, match="nested"):
        holds("args.x == 1", {"x": value})


def test_an_expression_is_compiled_once() -> None:
    assert compiled("args.once == 1") is compiled("args.once == 1")
    assert "args.once" in repr(compiled("args.once == 1"))


def test_the_library_is_imported_when_something_is_compiled_and_not_before() -> None:
    asked = "import sys, mesh.cel; print(sorted(m for m in sys.modules if m.startswith(('cel_expr', 're2'))))"
    said = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == "[]"


def test_the_worst_that_is_let_through_ends_soon() -> None:
    """One generous bound of the clock, far above what was measured; the rest is counted in steps."""
    text = "[ab]*a[ab]{100}x"
    args = {"s": "".join(random.Random(2).choices("ab", k=8_500))}
    began = time.perf_counter()
    assert not holds(f"args.s.matches('{text}')", args)
    assert time.perf_counter() - began < 1.0
    assert compiled(f"args.s.matches('{text}')").steps({"args": args}) > 0.9 * MAX_STEPS
