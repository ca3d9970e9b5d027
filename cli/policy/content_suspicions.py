"""What is right as a document and hardly meant, of guardrails: detectors that are never asked, or not in time."""

from __future__ import annotations

from collections.abc import Iterator

from cli.policy.credential_suspicions import asked_in_plain
from cli.policy.suspicion import Suspicion
from mesh.policy import AgentPolicy, Documents
from mesh.policy.detector_schema import TIMEOUT
from mesh.policy.guardrails import Action, ExternalOptions, Guardrails, Processor


def content_suspicions(documents: Documents) -> Iterator[Suspicion]:
    """About valid documents."""
    for policy in documents.policies:
        for where, guardrails in _sections(policy):
            for one in guardrails.processors:
                if one.action is not Action.OFF:
                    yield from _of_processor(
                        f"{where} {one.name}", one, guardrails, documents, policy.namespace
                    )


def _sections(policy: AgentPolicy) -> Iterator[tuple[str, Guardrails]]:
    rules = [(f"outbound[{index}]", rule.guardrails) for index, rule in enumerate(policy.outbound)]
    rules += [(f"inbound[{index}]", rule.guardrails) for index, rule in enumerate(policy.inbound or ())]
    for place, guardrails in rules:
        if guardrails is not None:
            yield f"AgentPolicy/{policy.name} {place} guardrails", guardrails


def _of_processor(
    where: str, one: Processor, section: Guardrails, documents: Documents, namespace: str | None
) -> Iterator[Suspicion]:
    if isinstance(one.options, ExternalOptions):
        yield from asked_in_plain(where, (one.options.url,), documents, namespace)
    elif one.timeout > section.budget and one.timeout != TIMEOUT:
        yield Suspicion(
            where,
            f"timeout {one.timeout * 1000:g}ms is never reached: all detectors in the sidecar have "
            f"{section.budget * 1000:g}ms together for a message; write a larger budget, or remove the timeout",
        )
