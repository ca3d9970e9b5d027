"""Findings about credentials: what a sidecar would not have, as far as the objects that are looked at say so."""

from __future__ import annotations

from collections.abc import Iterator

from cli.analyze.documents import loaded
from cli.analyze.finding import Finding, at
from cli.analyze.inventory import Agent, Inventory
from cli.check.credential_needs import needs_user
from cli.check.credentials import asked_plainly, hidden_variables, keys_needed, mounted
from cli.check.granted import Grants, of_pod
from mesh.policy import AgentPolicy, Backend, Documents
from mesh.policy.credentials import Hidden
from webhook.admission.outcome import Injection


def credentials(inventory: Inventory) -> Iterator[Finding]:
    """OUT0213, OUT0214, OUT0307 and OUT0308, at the workloads that have to do with them."""
    documents = _documents(inventory)
    if not any(one.credential for one in documents.backends) and not any(
        one.users for one in documents.policies
    ):
        return
    for agent in inventory.agents:
        if isinstance(agent.outcome, Injection):
            grants = of_pod(dict(agent.outcome.pod), documents, agent.namespace.name)
            for code, message in _found(grants):
                yield at(agent.item, inventory.default, code, message, *_place(agent))


def _documents(inventory: Inventory) -> Documents:
    values = [one.value for one in loaded(inventory)]
    return Documents(
        tuple(one for one in values if isinstance(one, Backend)),
        tuple(one for one in values if isinstance(one, AgentPolicy)),
    )


def _place(agent: Agent) -> tuple[str, ...]:
    return (*agent.template, "metadata")


def _found(grants: Grants) -> Iterator[tuple[str, str]]:
    has, hides = mounted(grants.pod), hidden_variables(grants.pod)
    for what, key in keys_needed(grants):
        if key.name not in has:
            yield "OUT0307", f"its sidecar does not mount Secret {key.name}, which {what} names"
    for what, url in asked_plainly(grants):
        yield "OUT0214", f"{what}: {url} would be asked in plain text"
    for backend in grants.backends:
        if needs_user(backend.credential) and grants.policy.users is None:
            told = "whose credential is exchanged for a user's token, and its policies have no users"
            yield "OUT0213", f"it may call Backend {backend.name}, {told}"
        variables = backend.credential.variables if isinstance(backend.credential, Hidden) else ()
        missing = [name for name in variables if name not in hides]
        if missing and len(missing) == len(variables):
            yield "OUT0308", f"it hides none of the variables of Backend {backend.name}: {', '.join(missing)}"
