"""What the parts of a CEL expression come to: functions of the variables, made of smaller ones.

An error of one side of `||` or `&&` counts only where the other side does not decide, as CEL has it; that is why
expressions are built first and evaluated after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Value = Callable[[Mapping[str, Any]], Any]
_TEXT_METHODS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}


class NotEvaluable(Exception):
    """The expression goes beyond what is evaluated here; nobody is at fault."""


class Absent(Exception):
    """A field that is not there was asked for: CEL calls that an error of the expression."""


class Optional:
    """The value of `a.?b`: there, or not."""

    def __init__(self, value: Any, *, there: bool) -> None:
        self.value, self.there = value, there


MACROS: dict[str, Callable[[Iterable[bool]], bool]] = {"exists": any, "all": all}
CONSTANTS = {"true": True, "false": False, "null": None}
RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "in": lambda a, b: a in b,
}


def truth(value: Any) -> bool:
    """A value that must be true or false; raises TypeError."""
    if not isinstance(value, bool):
        raise TypeError("what should be true or false is neither")
    return value


def decided(by: bool, left: Value, right: Value) -> Value:
    """`||` is decided by true, `&&` by false; then an error of the other side does not count."""

    def value(known: Mapping[str, Any]) -> bool:
        failed: Exception | None = None
        for side in (left, right):
            try:
                if truth(side(known)) is by:
                    return by
            except (Absent, TypeError) as error:
                failed = error
        if failed is not None:
            raise failed
        return not by

    return value


def variable(known: Mapping[str, Any], name: str) -> Any:
    """A variable by name; raises NotEvaluable."""
    if name not in known:
        raise NotEvaluable(f"{name} is not known here")
    return known[name]


def is_there(value: Value, known: Mapping[str, Any]) -> bool:
    """`has(…)`"""
    try:
        value(known)
    except Absent:
        return False
    return True


def at(value: Value, key: Value) -> Value:
    """`a.b` and `a[b]`; raises Absent when it is evaluated."""
    return lambda known: _field(value(known), key(known))


def _field(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping) and key in value:
        return value[key]
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    raise Absent(f"there is no {key}")


def optional(value: Value, name: str) -> Value:
    """`a.?b`"""

    def found(known: Mapping[str, Any]) -> Optional:
        outer = value(known)
        inner = outer.value if isinstance(outer, Optional) else outer
        there = isinstance(inner, Mapping) and name in inner
        return Optional(inner[name] if there else None, there=there)

    return found


def called(value: Value, name: str, arguments: list[Value]) -> Value:
    """`a.b(…)`; raises NotEvaluable when it is evaluated, for what is not known here."""

    def result(known: Mapping[str, Any]) -> Any:
        on, given = value(known), [argument(known) for argument in arguments]
        if isinstance(on, Optional):
            if name == "orValue" and len(given) == 1:
                return on.value if on.there else given[0]
            if name == "hasValue" and not given:
                return on.there
        if isinstance(on, str) and name in _TEXT_METHODS and len(given) == 1:
            return _TEXT_METHODS[name](on, given[0])
        if name == "size" and not given:
            return len(on)
        raise NotEvaluable(f"{name}() is not understood")

    return result
