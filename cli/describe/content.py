"""What is done with content, how often may be asked and what is pinned, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields

from mesh.policy.floors import rate_entry
from mesh.policy.guardrails import NO_OPTIONS, Guardrails, Pin, Processor, RateLimits


def guardrails_told(guardrails: Guardrails | None) -> Iterator[str]:
    """Each processor, like `guardrails pii mask`."""
    if guardrails is None:
        return
    told = [processor_told(one) for one in guardrails.processors]
    told += ["reversible"] if guardrails.reversible else []
    if told:
        yield f"guardrails {', '.join(told)}"


def processor_told(one: Processor) -> str:
    """A processor by its name, its detector where that is another, and its action."""
    name = one.name if one.name == one.detector else f"{one.name} ({one.detector})"
    return f"{name} {one.action.name.lower()}{' (observed)' if one.observe else ''}"


def rates_told(limits: RateLimits | None) -> Iterator[str]:
    """Every limit, like `at most 60/m`."""
    if limits is None:
        return
    told = [] if limits.every is None else [rate_entry("*/*", limits.every)]
    told += [f"{tool} {rate_entry('*/*', rate)}" for tool, rate in limits.tools]
    told += [f"{limits.concurrent} at once"] if limits.concurrent else []
    told += [f"answers of {limits.result_bytes} bytes"] if limits.result_bytes else []
    yield f"at most {', '.join(told)}{' for each user' if limits.scope == 'user' else ''}"


def pin_told(pin: Pin | None) -> str:
    """How tools are pinned."""
    if pin is None:
        return "nothing pinned"
    digests = ", ".join(
        [*([pin.digest] if pin.digest else []), *(f"{tool} {digest}" for tool, digest in pin.tools)]
    )
    return (
        f"tools pinned ({pin.mode}{', observed' if pin.observe else ''}{f': {digests}' if digests else ''})"
    )


def content_change(
    old: tuple[Guardrails, tuple[RateLimits, ...]], new: tuple[Guardrails, tuple[RateLimits, ...]]
) -> tuple[str, str]:
    """Both in words, without what they agree in."""
    was, now = list(_each(old)), list(_each(new))
    return (
        ", ".join(one for one in was if one not in now) or "no more than that",
        ", ".join(one for one in now if one not in was) or "no more than that",
    )


def _each(content: tuple[Guardrails, tuple[RateLimits, ...]]) -> Iterator[str]:
    guardrails, limits = content
    yield from guardrails_fully(guardrails)
    yield from rates_fully(limits)


def guardrails_fully(guardrails: Guardrails) -> Iterator[str]:
    """Each processor with all that makes it another than its name, and what holds for all of them."""
    for one in guardrails.processors:
        yield _fully(one)
    if guardrails.reversible:
        yield "what is masked put back"
    if guardrails.budget != Guardrails().budget:
        yield f"{guardrails.budget:g} s for checks"


def rates_fully(limits: Iterable[RateLimits]) -> Iterator[str]:
    """Each limit with its bursts, and what it is counted with."""
    for limit in limits:
        shared = f", shared ({limit.failure})" if limit.shared else ""
        observed = ", observed" if limit.observe else ""
        bursts = [rate.burst for rate in (limit.every, *(rate for _, rate in limit.tools)) if rate]
        told = f", bursts {bursts}" if any(bursts) else ""
        yield f"{next(rates_told(limit))}{told}{shared}{observed}"


def _fully(one: Processor) -> str:
    """A processor with everything in which it differs from its name alone."""
    plain = Processor(one.detector.value, one.detector, one.action, one.options)
    keys = ("direction", "parts", "tools", "timeout", "failure", "observe")
    other = [f"{key} {_value(getattr(one, key))}" for key in keys if getattr(one, key) != getattr(plain, key)]
    if one.options != NO_OPTIONS.get(one.detector):
        pairs = ((field.name, getattr(one.options, field.name)) for field in fields(one.options))
        other += [f"{name} {_value(value)}" for name, value in pairs]
    return " ".join([one.name, one.action.name.lower(), *([f"({'; '.join(other)})"] if other else [])])


def _value(value: object) -> str:
    if isinstance(value, frozenset):
        return f"[{', '.join(sorted(map(str, value)))}]"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
