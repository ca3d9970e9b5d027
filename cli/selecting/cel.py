"""The part of CEL that match conditions of webhooks are written in, evaluated here.

Literals, `object.a.b`, `a[k]`, `a.?b.orValue(x)`, `has(a.b)`, `in`, comparisons, `!`, `&&`, `||`, `.exists`,
`.all` and a few methods of text. What is beyond that raises NotEvaluable, since a wrong answer is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cli.selecting.cel_values import (
    CONSTANTS,
    MACROS,
    RELATIONS,
    Absent,
    NotEvaluable,
    Value,
    at,
    called,
    decided,
    is_there,
    optional,
    truth,
    variable,
)

__all__ = ["NotEvaluable", "evaluate"]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<number>\d+)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|\.\?|[!<>()\[\]{},.:]))"
)


def evaluate(expression: str, variables: Mapping[str, Any]) -> bool:
    """The truth of an expression.

    Raises:
        NotEvaluable: it uses something else of CEL, or ends in an error, of which the API server makes what
            failurePolicy says.
    """
    try:
        value = _Parser(_tokens(expression)).whole()(variables)
    except (Absent, TypeError, RecursionError) as error:
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

    def whole(self) -> Value:
        """The expression, with nothing after it."""
        value = self._either()
        if self._at < len(self._tokens):
            raise NotEvaluable(f"{self._tokens[self._at][1]!r} is not understood")
        return value

    def _either(self) -> Value:
        value = self._both()
        while self._take("||"):
            value = decided(True, value, self._both())
        return value

    def _both(self) -> Value:
        value = self._relation()
        while self._take("&&"):
            value = decided(False, value, self._relation())
        return value

    def _relation(self) -> Value:
        left = self._unary()
        for sign, holds in RELATIONS.items():
            if self._take(sign) or (sign == "in" and self._take("in", "name")):
                right = self._unary()
                return lambda known, holds=holds: holds(left(known), right(known))  # type: ignore[misc]
        return left

    def _unary(self) -> Value:
        if not self._take("!"):
            return self._member(self._primary())
        value = self._unary()
        return lambda known: not truth(value(known))

    def _primary(self) -> Value:
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

    def _named(self, name: str) -> Value:
        if name in CONSTANTS:
            return lambda known: CONSTANTS[name]
        if not self._take("("):
            return lambda known: variable(known, name)
        arguments = self._sequence(")")
        if len(arguments) == 1 and name == "has":
            return lambda known: is_there(arguments[0], known)
        if len(arguments) == 1 and name == "size":
            return lambda known: len(arguments[0](known))
        raise NotEvaluable(f"{name}() is not understood")

    def _member(self, value: Value) -> Value:
        while True:
            if self._take("["):
                value = at(value, self._either())
                self._expect("]")
            elif self._take(".?"):
                value = optional(value, self._next()[1])
            elif self._take("."):
                name = self._next()[1]
                if name in MACROS and self._take("("):
                    value = self._macro(value, name)
                elif self._take("("):
                    value = called(value, name, self._sequence(")"))
                else:
                    value = at(value, lambda known, name=name: name)  # type: ignore[misc]
            else:
                return value

    def _macro(self, value: Value, name: str) -> Value:
        """`.exists(x, …)` and `.all(x, …)`: the inner expression sees one more variable."""
        kind, name_of_one = self._next()
        if kind != "name":
            raise NotEvaluable(f"{name_of_one!r} is no name of a variable")
        self._expect(",")
        condition = self._either()
        self._expect(")")
        test = MACROS[name]
        return lambda known: test(truth(condition({**known, name_of_one: one})) for one in value(known))

    def _sequence(self, close: str) -> list[Value]:
        values: list[Value] = []
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
