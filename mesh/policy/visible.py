"""Which Backends an agent can see: those of its namespace, and of others those that it is meant to use.

A Backend decides where requests go and how they are encrypted, so nobody outside an agent's namespace may declare
one for it. Of another namespace there count

    those that an AgentPolicy of the agent's names, as `namespace/name`
    where no AgentPolicy selects the agent: those that lead to a Service of their own namespace, for access
    policies there to grant; unless the agent's own namespace has a Backend with the same host and port

without their `credential`: the Secrets, users' tokens and identities of the agent's own namespace are
nothing that somebody elsewhere decides on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mesh.policy.documents import EVERY_BACKEND, AgentPolicy, Backend


def visible(
    backends: Iterable[Backend], namespace: str | None, selected: Sequence[AgentPolicy]
) -> tuple[Backend, ...]:
    """The Backends that count for an agent of `namespace`, which these policies select; its own come first."""
    own: list[Backend] = []
    others: list[Backend] = []
    for backend in backends:
        (own if backend.namespace in (None, namespace) else others).append(backend)
    if not others:
        return tuple(own)
    others.sort(key=lambda backend: (backend.namespace or "", backend.name))
    named = {rule.backend for policy in selected for rule in policy.outbound}
    found = [backend for backend in others if f"{backend.namespace}/{backend.name}" in named]
    if not selected:
        taken = {(backend.host, backend.port) for backend in own}
        found = [b for b in others if is_service_of_its_own(b) and (b.host, b.port) not in taken]
    return (
        *own,
        *(backend if backend.credential is None else replace(backend, credential=None) for backend in found),
    )


def is_service_of_its_own(backend: Backend) -> bool:
    """Whether a Backend leads to a Service of its own namespace: `name.namespace.svc`, and what may follow."""
    labels = backend.host.split(".")
    return len(labels) >= 3 and labels[1] == backend.namespace and labels[2] == "svc"


def names_of(backend: Backend, namespace: str | None) -> tuple[str, ...]:
    """What `backend` of an outbound rule may be to mean this Backend, for an agent of `namespace`."""
    if backend.namespace is None:
        return backend.name, EVERY_BACKEND
    everywhere = f"{backend.namespace}/{backend.name}"
    return (backend.name, EVERY_BACKEND, everywhere) if backend.namespace == namespace else (everywhere,)
