"""What functions may cost: each that there is has a rule, and each rule grows as it should."""

from __future__ import annotations

import pytest

from mesh.cel import CelType, compile_expression
from mesh.cel.expression import Expression
from mesh.cel.functions import MATCHES, RULES, program_size
from mesh.cel.tree import Call, nodes
from mesh.cel.values import Size

ARGS = {"args": CelType.JSON_OBJECT, "when": CelType.TIMESTAMP}
USED = (
    "args.x - 1 == 2 * 3 / 4 % 5 && -args.x != 1 || !args.y",
    "args.x < 1 || args.x <= 1 || args.x > 1 || args.x >= 1 || args.x in [1]",
    "args.l.all(i, i + 1 == 2) ? size(args.l) == 1 : args.l[0] == 1",
    "type(args.x) == int && int(args.x) == 1 && uint(args.x) == 1u && double(args.x) == 1.0 && bool(args.x)",
    "string(args.x) == '' && bytes(args.x) == b'' && timestamp(args.x) == when && duration(args.x) > when - when",
    "args.s.startsWith('a') && args.s.endsWith('a') && args.s.contains('a') && args.s.indexOf('a') == 1",
    "args.s.lastIndexOf('a') == 1 && args.s.charAt(0) == 'a' && args.s.lowerAscii() == args.s.upperAscii()",
    "args.s.reverse() == args.s.substring(1) && args.s.trim() == strings.quote(args.s) && args.s.matches('a')",
    "args.s.replace('a', 'b') == args.s.split(',').join('-') && '%s'.format([args.s]) == ''",
    "args.?x.orValue(1) == 1 && args[?'x'].hasValue() && args.?x.or(args.?y).value() == dyn(1)",
    "optional.of(1).hasValue() && optional.ofNonZeroValue(0).hasValue() && optional.none().hasValue()",
    "when.getDate() == when.getDayOfMonth() && when.getDayOfWeek() == when.getDayOfYear()",
    "when.getFullYear() == when.getHours() && when.getMilliseconds() == when.getMinutes()",
    "when.getMonth() == when.getSeconds()",
)


def test_each_function_that_has_a_rule_is_one_of_the_library() -> None:
    used = {node.function for text in USED for node in nodes(tree(text)) if isinstance(node, Call)}
    assert used == RULES.keys() | {MATCHES}


def tree(text: str):
    return compile_expression(text, ARGS)._tree


@pytest.mark.parametrize("name", sorted(RULES))
def test_costs_grow_with_the_values_and_are_never_negative(name: str) -> None:
    def of(scale: int) -> tuple[int, Size]:
        return RULES[name]([Size(scale, scale * 10)] * 3)

    (little, small), (much, large) = of(1), of(1000)
    assert 0 <= little <= much
    assert small.leaves <= large.leaves
    assert small.chars <= large.chars


@pytest.mark.parametrize(
    ("text", "once", "again"),
    [
        # Searching is the product of both, copying lists in a loop the square of their length.
        ("args.s.contains(args.t)", {"s": "a" * 1000, "t": "b" * 1000}, {"s": "a" * 2000, "t": "b" * 2000}),
        ("args.l.map(i, i) == []", {"l": [1] * 200}, {"l": [1] * 400}),
        ("args.l.all(i, args.l.all(j, i != j))", {"l": [1] * 20}, {"l": [1] * 40}),
        ("args.l.all(i, i in args.l)", {"l": [1] * 50}, {"l": [1] * 100}),
    ],
)
def test_steps_are_counted_as_the_square(text: str, once: dict, again: dict) -> None:
    expression = compile_expression(text, ARGS)
    ratio = steps(expression, again) / steps(expression, once)
    assert 3.5 < ratio < 4.5


@pytest.mark.parametrize(
    ("text", "once", "again"),
    [
        ("args.s == 'a'", {"s": "a" * 10_000}, {"s": "a" * 20_000}),
        ("args.s.matches('^a+$')", {"s": "a" * 10_000}, {"s": "a" * 20_000}),
        ("args.l.all(i, i > 0)", {"l": [1] * 2000}, {"l": [1] * 4000}),
    ],
)
def test_steps_are_counted_as_the_length(text: str, once: dict, again: dict) -> None:
    expression = compile_expression(text, ARGS)
    assert 1.8 < steps(expression, again) / steps(expression, once) < 2.2


def steps(expression: Expression, args: dict) -> int:
    return expression.steps({"args": args})


def test_only_what_is_read_is_counted() -> None:
    expression = compile_expression("args.path.startsWith('/tmp')", ARGS)
    small, large = {"path": "/tmp/x"}, {"path": "/tmp/x", "content": "a" * 1_000_000}
    assert steps(expression, small) == steps(expression, large)


def test_the_size_of_a_pattern_is_that_of_its_program() -> None:
    assert program_size("a") < program_size("a{100}") < program_size("[^a]{100}")
    with pytest.raises(ValueError, match="missing"):
        program_size("(")
