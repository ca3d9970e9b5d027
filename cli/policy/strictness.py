"""Which of two ways to treat content lets no more pass: the order of actions, options, rates and pins.

Where neither is at least as strict as the other, nobody can say so without knowing the messages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from mesh.policy.guardrails import (
    Action,
    DetectorKind,
    Direction,
    ExfiltrationOptions,
    FailureMode,
    Guardrails,
    InjectionOptions,
    Options,
    PiiOptions,
    Pin,
    PinMode,
    Processor,
    Rate,
    RateLimits,
    RateScope,
    SecretsOptions,
    ShapeOptions,
    SqlOptions,
    TermsOptions,
)

Content = tuple[Guardrails, tuple[RateLimits, ...]]
"""As `Policy.content` has it."""


def content_as_strict(one: Content, other: Content) -> bool:
    """Whether `one` lets pass nothing that `other` does not."""
    return _guardrails(one[0], other[0]) and all(
        any(_limits(mine, limit) for mine in one[1]) for limit in other[1]
    )


def pin_as_strict(one: Pin | None, other: Pin | None) -> bool:
    """The same of pins: approved tools are fewer than those of the first use, and those fewer than any."""
    if other is None:
        return True
    if one is None or (one.observe and not other.observe):
        return False
    if one.mode is not other.mode:
        return one.mode is PinMode.APPROVED
    if one.mode is PinMode.FIRST_USE:
        return one.generation == other.generation
    same = set(one.tools) == set(other.tools)
    fewer = bool(one.tools) and set(one.tools) <= set(other.tools)
    return one.digest == other.digest and (same or fewer)


def _guardrails(one: Guardrails, other: Guardrails) -> bool:
    if (one.reversible and not other.reversible) or one.budget != other.budget:
        return False
    told = {mine.options for mine in other.processors if mine.detector is DetectorKind.EXTERNAL}
    if any(mine.detector is DetectorKind.EXTERNAL and mine.options not in told for mine in one.processors):
        return False  # somebody new is told what is in the messages
    return all(any(_processor(mine, theirs) for mine in one.processors) for theirs in other.processors)


def _processor(one: Processor, other: Processor) -> bool:
    return (
        one.detector is other.detector
        and _action(one, other)
        and _options(one.options, other.options)
        and one.direction in (other.direction, Direction.BOTH)
        and one.parts >= other.parts
        and ("*" in one.tools or set(one.tools) >= set(other.tools))
        and one.timeout == other.timeout
        and one.failure in (other.failure, FailureMode.CLOSED)
        and (other.observe or not one.observe)
    )


def _action(one: Processor, other: Processor) -> bool:
    """What somebody else puts in the place of something is not known to be less."""
    if one.detector is DetectorKind.EXTERNAL and one.action is Action.MASK:
        return other.action is Action.MASK
    return one.action >= other.action


def _options(one: Options, other: Options) -> bool:
    order = _ORDERS.get(type(one))
    return one == other or (type(one) is type(other) and order is not None and order(one, other))


def _pii(one: PiiOptions, other: PiiOptions) -> bool:
    """Locales also say which numbers are numbers of telephones, so that naming none is not all of them."""
    if one.locales != other.locales and not (other.locales and set(one.locales) >= set(other.locales)):
        return False
    if not one.kinds:
        return not other.kinds or not one.locales
    return bool(other.kinds) and one.kinds >= other.kinds


def _sql(one: SqlOptions, other: SqlOptions) -> bool:
    if not any(kinds for _, kinds in one.statements):
        return True
    same = [tool for tool, _ in one.statements] == [tool for tool, _ in other.statements]
    return same and all(
        mine <= theirs for (_, mine), (_, theirs) in zip(one.statements, other.statements, strict=True)
    )


def _injection(one: InjectionOptions, other: InjectionOptions) -> bool:
    return one.threshold is not None and other.threshold is not None and one.threshold <= other.threshold


def _shape(one: ShapeOptions, other: ShapeOptions) -> bool:
    return all(
        _at_most(getattr(one, key), getattr(other, key))
        for key in ("bytes", "depth", "items", "values", "characters")
    )


_ORDERS: Final[dict[type, Callable[[Any, Any], bool]]] = {
    PiiOptions: _pii,
    SecretsOptions: lambda one, other: one.entropy or not other.entropy,
    SqlOptions: _sql,
    InjectionOptions: _injection,
    ExfiltrationOptions: lambda one, other: set(one.hosts) <= set(other.hosts),
    TermsOptions: lambda one, other: set(one.words) >= set(other.words) and (other.whole or not one.whole),
    ShapeOptions: _shape,
}


def _limits(one: RateLimits, other: RateLimits) -> bool:
    """Whatever `other` refuses, `one` refuses as well."""
    return (
        one.scope in (other.scope, RateScope.AGENT)
        and (other.observe or not one.observe)
        and (one.shared or not other.shared)
        and (not other.shared or one.failure in (other.failure, FailureMode.CLOSED))
        and _at_most(one.concurrent, other.concurrent)
        and _at_most(one.result_bytes, other.result_bytes)
        and (other.every is None or _rate(one.every, other.every))
        and all(
            _rate(one.every, rate)
            or any(glob in (tool, "*") and _rate(mine, rate) for glob, mine in one.tools)
            for tool, rate in other.tools
        )
    )


def _rate(one: Rate | None, other: Rate) -> bool:
    """As often over time, and as many at once."""
    if one is None:
        return False
    return one.requests * other.seconds <= other.requests * one.seconds and (one.burst or one.requests) <= (
        other.burst or other.requests
    )


def _at_most(one: int, other: int) -> bool:
    """0: no limit."""
    return other == 0 or 0 < one <= other
