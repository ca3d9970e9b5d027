"""Expressions of policies, loaded when the first one is met: most sidecars have none, and save a megabyte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mesh.cel import Expression


class NoExpression(Exception):
    """The text is no expression that can be asked; its author is at fault. `errors` is a sentence each."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def access_expression(text: str) -> Expression:
    """The expression of an access policy's rule. Raises NoExpression."""
    from mesh.cel import CelInvalid, compile_access_expression

    try:
        return compile_access_expression(text)
    except CelInvalid as invalid:
        raise NoExpression(invalid.errors) from invalid


def arguments_expression(text: str) -> Expression:
    """An expression over `args`, the arguments of a call. Raises NoExpression."""
    from mesh.cel import CelInvalid, CelType, compile_expression

    try:
        return compile_expression(text, {"args": CelType.JSON_OBJECT})
    except CelInvalid as invalid:
        raise NoExpression(invalid.errors) from invalid


def holds(expression: Expression, values: Mapping[str, Any]) -> bool | None:
    """Whether an expression holds; None where it has no answer, or none in time."""
    from mesh.cel import CelExhausted, CelFailed

    try:
        return expression.evaluate(values)
    except (CelFailed, CelExhausted):
        return None
