"""The part of CEL that match conditions of webhooks are written in, evaluated here.

Literals, `object.a.b`, `a[k]`, `a.?b.orValue(x)`, `has(a.b)`, `in`, comparisons, `!`, `&&`, `||`, `.exists`,
`.all` and a few methods of text. What is beyond that raises NotEvaluable, since a wrong answer is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|\.\?|[!<>()\[\]{},.:]))"
)
_Value = Callable[[Mapping[str, Any]], Any]
_TEXT_METHODS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": str.__contains__,
}


class NotEvaluable(Exception):
    """The expression goes beyond what is evaluated here; nobody is at fault."""


class _Absent(Exception):
    """A field that is not there was asked for: CEL calls that an error of the expression."""


class _Optional:
    """The value of `a.?b`: there, or not."""

    def __init__(self, value: Any, *, there: bool) -> None:
        self.value, self.there = value, there


def evaluate(expression: str, variables: Mapping[str, Any]) -> bool:
    """The truth of an expression.

    Raises:
        NotEvaluable: it uses something else of CEL, or ends in an error, of which the API server makes what
            failurePolicy says.
    """
    try:
        value = _Parser(_tokens(expression)).whole()(variables)
    except (_Absent, TypeError, RecursionError) as error:
        raise NotEvaluable(f"it ends in an error: {error}") from error
    if not isinstance(value, bool):
        raise NotEvaluable("it is neither true nor false")
    return value


def _tokens(expression: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    place, text = 0, expression.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise NotEvaluable(f"{text[place : place + 10]!r} is not understood")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        place = match.end()
    return found


class _Parser:
    """Recursive descent; what comes out is a function of the variables."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._at = tokens, 0

    def whole(self) -> _Value:
        """The expression, with nothing after it."""
        value = self._either()
        if self._at < len(self._tokens):
            raise NotEvaluable(f"{self._tokens[self._at][1]!r} is not understood")
        return value

    def _either(self) -> _Value:
        value = self._both()
        while self._take("||"):
            value = _decided(True, value, self._both())
        return value

    def _both(self) -> _Value:
        value = self._relation()
        while self._take("&&"):
            value = _decided(False, value, self._relation())
        return value

    def _relation(self) -> _Value:
        left = self._unary()
        for sign, holds in _RELATIONS.items():
            if self._take(sign) or (sign == "in" and self._take("in", "name")):
                right = self._unary()
                return lambda known, holds=holds: holds(left(known), right(known))  # type: ignore[misc]
        return left

    def _unary(self) -> _Value:
        if not self._take("!"):
            return self._member(self._primary())
        value = self._unary()
        return lambda known: not _truth(value(known))

    def _primary(self) -> _Value:
        kind, word = self._next()
        if kind == "text":
            unquoted = re.sub(r"\\(.)", r"\1", word[1:-1])
            return lambda known: unquoted
        if kind == "number":
            return lambda known: int(word)
        if word == "(":
            value = self._either()
            self._expect(")")
            return value
        if word == "[":
            items = self._sequence("]")
            return lambda known: [item(known) for item in items]
        if word == "{":
            self._expect("}")
            return lambda known: {}
        if kind == "name":
            return self._named(word)
        raise NotEvaluable(f"{word!r} is not understood")

    def _named(self, name: str) -> _Value:
        if name in _CONSTANTS:
            return lambda known: _CONSTANTS[name]
        if not self._take("("):
            return lambda known: _variable(known, name)
        arguments = self._sequence(")")
        if len(arguments) == 1 and name == "has":
            return lambda known: _is_there(arguments[0], known)
        if len(arguments) == 1 and name == "size":
            return lambda known: len(arguments[0](known))
        raise NotEvaluable(f"{name}() is not understood")

    def _member(self, value: _Value) -> _Value:
        while True:
            if self._take("["):
                value = _at(value, self._either())
                self._expect("]")
            elif self._take(".?"):
                value = _optional(value, self._next()[1])
            elif self._take("."):
                name = self._next()[1]
                if name in _MACROS and self._take("("):
                    value = self._macro(value, name)
                elif self._take("("):
                    value = _called(value, name, self._sequence(")"))
                else:
                    value = _at(value, lambda known, name=name: name)  # type: ignore[misc]
            else:
                return value

    def _macro(self, value: _Value, name: str) -> _Value:
        """`.exists(x, …)` and `.all(x, …)`: the inner expression sees one more variable."""
        kind, variable = self._next()
        if kind != "name":
            raise NotEvaluable(f"{variable!r} is no name of a variable")
        self._expect(",")
        condition = self._either()
        self._expect(")")
        test = _MACROS[name]
        return lambda known: test(_truth(condition({**known, variable: one})) for one in value(known))

    def _sequence(self, close: str) -> list[_Value]:
        values: list[_Value] = []
        while not self._take(close):
            values.append(self._either())
            if self._at >= len(self._tokens) or self._tokens[self._at] != ("sign", close):
                self._expect(",")
        return values

    def _take(self, sign: str, kind: str = "sign") -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == (kind, sign):
            self._at += 1
            return True
        return False

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise NotEvaluable("it ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise NotEvaluable(f"{sign!r} is missing")


_MACROS: dict[str, Callable[[Iterable[bool]], bool]] = {"exists": any, "all": all}
_CONSTANTS = {"true": True, "false": False, "null": None}
_RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "in": lambda a, b: a in b,
}


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("what should be true or false is neither")
    return value


def _decided(by: bool, left: _Value, right: _Value) -> _Value:
    """`||` is decided by true, `&&` by false; then an error of the other side does not count."""

    def value(known: Mapping[str, Any]) -> bool:
        failed: Exception | None = None
        for side in (left, right):
            try:
                if _truth(side(known)) is by:
                    return by
            except (_Absent, TypeError) as error:
                failed = error
        if failed is not None:
            raise failed
        return not by

    return value


def _variable(known: Mapping[str, Any], name: str) -> Any:
    if name not in known:
        raise NotEvaluable(f"{name} is not known here")
    return known[name]


def _is_there(value: _Value, known: Mapping[str, Any]) -> bool:
    try:
        value(known)
    except _Absent:
        return False
    return True


def _at(value: _Value, key: _Value) -> _Value:
    return lambda known: _field(value(known), key(known))


def _field(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping) and key in value:
        return value[key]
    if isinstance(value, list) and isinstance(key, int) and 0 <= key < len(value):
        return value[key]
    raise _Absent(f"there is no {key}")


def _optional(value: _Value, name: str) -> _Value:
    def found(known: Mapping[str, Any]) -> _Optional:
        outer = value(known)
        inner = outer.value if isinstance(outer, _Optional) else outer
        there = isinstance(inner, Mapping) and name in inner
        return _Optional(inner[name] if there else None, there=there)

    return found


def _called(value: _Value, name: str, arguments: list[_Value]) -> _Value:
    def called(known: Mapping[str, Any]) -> Any:
        on, given = value(known), [argument(known) for argument in arguments]
        if isinstance(on, _Optional):
            if name == "orValue" and len(given) == 1:
                return on.value if on.there else given[0]
            if name == "hasValue" and not given:
                return on.there
        if isinstance(on, str) and name in _TEXT_METHODS and len(given) == 1:
            return _TEXT_METHODS[name](on, given[0])
        if name == "size" and not given:
            return len(on)
        raise NotEvaluable(f"{name}() is not understood")

    return called
