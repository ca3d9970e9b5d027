"""What holds besides who may send what: guardrails, rate limits and pins, merged as a sidecar does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from cli.describe.content import guardrails_fully, pin_told, rates_fully
from cli.output.blocks import Row
from mesh.policy import Backend, BackendProtocol, Policy, Principal
from mesh.policy.decision import Target


@dataclass(frozen=True, slots=True)
class Treatment:
    """Each processor and limit in words; `pin` is None where tools cannot be pinned."""

    guardrails: tuple[str, ...] = ()
    rates: tuple[str, ...] = ()
    pin: str | None = None

    def rows(self) -> Iterator[Row]:
        """For people: a row for each kind of condition there is."""
        if self.guardrails:
            yield Row(("guardrails", ", ".join(self.guardrails)))
        for rate in self.rates:
            yield Row(("rate limit", rate))
        if self.pin is not None:
            yield Row(("pin", self.pin))

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {"guardrails": list(self.guardrails), "rateLimits": list(self.rates), "pin": self.pin}


def treatment(policy: Policy, principal: Principal, target: Target) -> Treatment:
    """Of what is no MCP only the requests are counted, and nothing at all of TCP."""
    guardrails, rates = policy.content(principal, target)
    if not isinstance(target, Backend):
        return Treatment(tuple(guardrails_fully(guardrails)), tuple(rates_fully(rates)))
    if target.protocol is BackendProtocol.MCP:
        return Treatment(tuple(guardrails_fully(guardrails)), tuple(rates_fully(rates)), pin_told(target.pin))
    return (
        Treatment() if target.protocol is BackendProtocol.TCP else Treatment(rates=tuple(rates_fully(rates)))
    )


NOTHING: Final = Treatment()
