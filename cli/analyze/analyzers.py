"""Every analyzer there is, and their findings in a stable order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from cli.analyze import access, credentials, documents, labels, pods, policies, webhooks
from cli.analyze.finding import Finding
from cli.analyze.inventory import Inventory

ANALYZERS: Final[tuple[Callable[[Inventory], Iterator[Finding]], ...]] = (
    labels.outside_template,
    labels.misspelt,
    labels.namespace_values,
    labels.contradictions,
    documents.invalid,
    policies.selects_nothing,
    policies.unknown_backends,
    policies.unused_backends,
    policies.grants_everything,
    policies.missing,
    policies.observing,
    access.conflicting,
    access.not_accepted,
    access.unknown_targets,
    access.foreign_gateways,
    credentials.credentials,
    pods.refused,
    pods.without,
    pods.lacking,
    pods.shared_account,
    pods.short_grace,
    pods.warned,
    webhooks.overlapping,
    webhooks.incomplete,
    webhooks.absent,
    webhooks.sidecar_ports,
    webhooks.unanswered_ports,
)


def analyze(inventory: Inventory) -> list[Finding]:
    """All findings, by place and code; each once."""
    found = {finding for analyzer in ANALYZERS for finding in analyzer(inventory)}
    return sorted(found, key=lambda one: (one.source, one.line, one.code, one.subject, one.message))
