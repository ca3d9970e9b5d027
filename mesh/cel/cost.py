"""How many steps an expression can take at most for given values: an upper bound, found without evaluating it.

The tree is walked once with sizes in place of values: the real sizes where a variable is read by constant keys
(`args.path`), the largest possible ones elsewhere. A loop's body counts as often as the loop can run, which the
library stops after MAX_ROUNDS rounds of all loops together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mesh.cel.functions import MATCHES, NODE, RULES, SCALAR, matching, program_size
from mesh.cel.tree import Call, Const, Ident, Loop, Made, Node, Select
from mesh.cel.values import Size, measure

MAX_ROUNDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Bound:
    """What is known of a value: how large it is at most, the largest of its elements, and itself if `known`."""

    size: Size
    value: Any = None
    known: bool = False
    largest: Size | None = None


class Walk:
    """One walk over a tree; `steps` is what has been counted. Each value is measured once in a walk, however often
    the expression reads it."""

    def __init__(self, measured: dict[int, Size] | None = None) -> None:
        self.steps = 0
        self._measured: dict[int, Size] = {} if measured is None else measured
        self._looped: dict[int, tuple[int, Bound]] = {}

    def bound_of(self, value: object) -> Bound:
        """A value that is there and outlives the walk, measured; raises CelFailed, CelExhausted."""
        size = self._measured.get(id(value))
        if size is None:
            size = self._measured[id(value)] = measure(value)
        return Bound(size, value, known=True)

    def over(self, node: Node, scope: Mapping[str, Bound], times: int = 1) -> Bound:
        """What `node` gives, evaluated `times` times with the variables of `scope`."""
        self.steps += NODE * times
        match node:
            case Const():
                return Bound(Size(1, node.length), node.text, known=node.text is not None)
            case Ident(name=name):
                return scope.get(name, _SCALAR)
            case Select(operand=operand, field=field):
                return self._member(self.over(operand, scope, times), field)
            case Made(items=items):
                sizes = [self.over(item, scope, times).size for item in items]
                self.steps += 40 * len(sizes) * times
                return Bound(_sum(sizes), largest=_largest(sizes))
            case Call():
                return self._call(node, scope, times)
            case Loop():
                return self._loop(node, scope, times)

    def _call(self, node: Call, scope: Mapping[str, Bound], times: int) -> Bound:
        given = [self.over(argument, scope, times) for argument in node.arguments]
        if node.function == MATCHES:
            pattern = given[1].value
            self.steps += times * matching(program_size(pattern), given[0].size)
            return _SCALAR
        steps, size = RULES[node.function]([one.size for one in given])
        if node.function == "_+_" and any(isinstance(part, Made) for part in node.arguments):
            steps = 30 * size.leaves  # Of lists only the references are copied.
        self.steps += times * steps
        if node.function in _INTO and given[0].known:
            return self._element(given[0], given[1])
        return Bound(size, largest=Size(1, size.chars) if node.function == "split" else None)

    def _loop(self, node: Loop, scope: Mapping[str, Bound], times: int) -> Bound:
        over = self.over(node.over, scope, times)
        rounds, element = self._elements(over)
        first = self.over(node.first, scope, times)
        if not rounds:
            return self.over(node.last, {**scope, node.result: first}, times)
        inner = min(times * rounds, MAX_ROUNDS)
        grown = (
            Walk(self._measured).over(node.step, {**scope, node.element: element, node.result: _EMPTY}).size
        )
        result = Bound(
            Size(first.size.leaves + rounds * grown.leaves, first.size.chars + rounds * grown.chars)
        )
        within = {**scope, node.element: element, node.result: result}
        self.over(node.condition, within, inner)
        self.over(node.step, within, inner)
        return self.over(node.last, {**scope, node.result: result}, times)

    def _member(self, operand: Bound, field: str) -> Bound:
        """`operand.field`; where there is none, evaluation will end there."""
        if operand.known and isinstance(operand.value, dict):
            return self.bound_of(operand.value[field]) if field in operand.value else _SCALAR
        return Bound(operand.size)

    def _element(self, operand: Bound, key: Bound) -> Bound:
        if key.known and isinstance(key.value, str):
            return self._member(operand, key.value)
        return self._elements(operand)[1] if isinstance(operand.value, list) else Bound(operand.size)

    def _elements(self, over: Bound) -> tuple[int, Bound]:
        """How many rounds a loop over a value has, and the largest thing that it meets."""
        if not over.known or not isinstance(over.value, list | dict):
            return over.size.leaves, Bound(over.largest or over.size)
        found = self._looped.get(id(over.value))
        if found is None:
            sizes = [_size(one) for one in over.value]
            found = self._looped[id(over.value)] = len(sizes), Bound(_largest(sizes))
        return found


_SCALAR: Final = Bound(SCALAR)
_LEAF: Final = Size(1, 0)
_EMPTY: Final = Bound(Size(0, 0))
_INTO: Final = frozenset({"_[_]", "_[?_]", "_?._"})


def _size(one: object) -> Size:
    """What `measure` says, sooner for what holds nothing."""
    if isinstance(one, str):
        return Size(1, len(one) if one.isascii() else len(one.encode()))
    return measure(one) if isinstance(one, list | dict) else _LEAF


def _sum(sizes: list[Size]) -> Size:
    return Size(1 + sum(size.leaves for size in sizes), sum(size.chars for size in sizes))


def _largest(sizes: list[Size]) -> Size:
    return Size(max((s.leaves for s in sizes), default=0), max((s.chars for s in sizes), default=0))
