"""Which Backends each pod of a namespace may call, with whose users, as far as its AgentPolicies say so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cli.check.credential_needs import introspection_keys, secret_keys
from cli.check.data_documents import policy_texts
from cli.check.data_plane import Agents
from cli.check.objects import labels_of
from cli.cluster.answers import Obj
from mesh.policy import (
    AgentPolicy,
    Backend,
    Documents,
    Policy,
    PolicyInvalid,
    compile_policy,
    load_texts,
    read_object_alone,
)
from mesh.policy.credentials import SecretKey
from mesh.policy.visible import names_of


@dataclass(frozen=True, slots=True)
class Grants:
    """A pod with a sidecar, what policies say of it together, and the Backends that their rules name."""

    pod: Obj
    policy: Policy
    backends: tuple[Backend, ...]


def grants(agents: Agents) -> tuple[Grants, ...] | str:
    """Of every pod with a sidecar, or why nobody can say.

    What cannot be read by itself is left out: another check tells of it. So are Backends of other namespaces,
    which come without their credential.
    """
    found = _resources(agents) if agents.settings.control_plane.present else _texts(agents)
    if isinstance(found, str):
        return found
    return tuple(of_pod(pod, found, agents.namespace.name) for pod in agents.injected)


def secrets_named(items: Iterable[Obj], config_map: Obj | None) -> list[str]:
    """The Secrets that credentials of Backends and `users` of AgentPolicies name."""
    loaded = None if config_map is None else _loaded(config_map)
    mounted = () if loaded is None else (*loaded.backends, *loaded.policies)
    return sorted({key.name for one in (*_readable(items), *mounted) for key in _keys(one)})


def _keys(one: object) -> tuple[SecretKey, ...]:
    match one:
        case Backend(credential=credential) if credential is not None:
            return secret_keys(credential)
        case AgentPolicy(users=users) if users is not None:
            return introspection_keys(users)
        case _:
            return ()


def of_pod(pod: Obj, documents: Documents, namespace: str) -> Grants:
    """What documents say of a pod by the labels that it has now."""
    policy = compile_policy(documents, labels=labels_of(pod), namespace=namespace)
    rules = {
        rule.backend
        for one in documents.policies
        if one.namespace in (None, namespace) and dict(one.match_labels).items() <= labels_of(pod).items()
        for rule in one.outbound
    }
    backends = tuple(
        backend for backend in policy.backends if not rules.isdisjoint(names_of(backend, namespace))
    )
    return Grants(pod, policy, backends)


def _resources(agents: Agents) -> Documents | str:
    for what, part in (("AgentPolicies", agents.data.agent_policies), ("Backends", agents.data.backends)):
        if part.unread:
            return f"{what} cannot be listed: {part.unread}"
    found = [*_readable((*agents.data.agent_policies.items, *agents.data.backends.items))]
    return Documents(
        tuple(one for one in found if isinstance(one, Backend)),
        tuple(one for one in found if isinstance(one, AgentPolicy)),
    )


def _texts(agents: Agents) -> Documents | str:
    config_map = agents.data.policies.one
    if config_map is None:
        return agents.data.policies.unread or "there are no policies"
    return _loaded(config_map) or "the policies cannot be loaded"


def _loaded(config_map: Obj) -> Documents | None:
    try:
        return load_texts(policy_texts(config_map))
    except PolicyInvalid:
        return None


def _readable(items: Iterable[Obj]) -> Iterator[object]:
    for item in items:
        try:
            yield read_object_alone(item)
        except PolicyInvalid:
            continue
