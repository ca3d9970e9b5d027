"""What policies say of one pod: which select it, what it may call, and who may call it.

Compiled by the same code as in the sidecar, and with what the pod's annotations take away. With a control plane it
is from what that gives the sidecar, by the labels of now; else from its ConfigMap, by the labels of admission.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from cli.check.conditions import verdict
from cli.check.data_documents import policy_texts
from cli.check.objects import counted, labels_of, name_of
from cli.cluster.answers import Obj
from cli.describe.content import guardrails_told, rates_told
from cli.describe.credentials import credentials_told, foreign_told, users_told
from cli.describe.given import Given, about
from cli.describe.settings import environment
from mesh.policy import Policy, PolicyInvalid, compile_policy, load_texts
from mesh.policy.documents import AgentPolicy, Backend, Documents, InboundRule, McpGrant, Names, OutboundRule
from mesh.policy.errors import ErrorLog
from mesh.policy.fields import Invalid, Place, Sheet
from mesh.policy.narrowing import Narrowing
from mesh.policy.visible import names_of
from mesh.policy.yaml_tree import Mapping as Tree
from mesh.settings.table import ENV_AGENT_LABELS
from sidecar.environment import ENVIRONMENT, overlay
from sidecar.narrow_section import read_narrowing

_UNDECLARED = "undeclared.invalid"  # RFC 2606: nobody's


@dataclass(frozen=True, slots=True)
class Rights:
    """`outbound` and `inbound` are pairs: with whom, and what. `access` are XAccessPolicies about what it calls,
    or about itself; `remarks` say what is not in force as it is written. With `errors` nothing has an effect.
    `users` says whose tokens it hears, and `credentials` what Backends get, as pairs too."""

    policies: tuple[str, ...] = ()
    egress: str = ""
    outbound: tuple[tuple[str, str], ...] = ()
    inbound: tuple[tuple[str, str], ...] = ()
    narrowed: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    access: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()
    """How far each of `policies` is in force, "" where nobody says."""
    users: tuple[tuple[str, str], ...] = ()
    credentials: tuple[tuple[str, str], ...] = ()


def rights(pod: Obj, config_map: Obj, namespace: str) -> Rights:
    """What the policies in a ConfigMap mean for a pod."""
    try:
        documents = load_texts(policy_texts(config_map))
    except PolicyInvalid as invalid:
        return Rights(errors=tuple(map(str, invalid.errors)))
    return _rights(pod, documents, agent_labels(pod), namespace)


def rights_given(pod: Obj, given: Given, namespace: str, policies: Iterable[Obj]) -> Rights:
    """What the control plane's configuration means for a pod; `policies` are AgentPolicies with their status."""
    found = _rights(pod, given.documents, labels_of(pod), namespace, {name_of(one): one for one in policies})
    access = tuple(
        f"{one.label} ({one.action}, about {about(one)})"
        + (f": {given.verdicts[one.label]}" if one.label in given.verdicts else "")
        for one in given.documents.access_policies
    )
    return replace(found, access=access, remarks=given.remarks)


def _rights(
    pod: Obj,
    documents: Documents,
    labels: dict[str, str],
    namespace: str,
    stored: Mapping[str, Obj] = MappingProxyType({}),
) -> Rights:
    narrowing = narrowing_of(pod)
    compiled = compile_policy(documents, labels=labels, namespace=namespace, narrowing=narrowing)
    chosen = [one for one in documents.policies if f"AgentPolicy/{one.name}" in compiled.policies]
    chosen = [one for one in chosen if one.namespace in (None, namespace)]
    granting = [one for one in chosen if not narrowing.leaves_out(one.name)]
    return Rights(
        tuple(_named(one, narrowing) for one in chosen),
        _egress(compiled),
        tuple(_outbound(granting, documents, namespace)),
        tuple(_inbound(granting)),
        tuple(_told(narrowing)),
        standing=tuple(_standing(stored.get(one.name)) for one in chosen),
        users=users_told(compiled.users),
        credentials=(
            *credentials_told(_callable(granting, compiled.backends, namespace), compiled.users),
            *foreign_told(_callable(granting, documents.backends, namespace), namespace),
        ),
    )


def _standing(policy: Obj | None) -> str:
    """How far a policy is in force, by its status."""
    said = verdict(policy or {})
    told = [f"not accepted: {said.refused}"] if said.refused else []
    told += [f"in conflict: {said.conflict}"] if said.conflict else []
    if said.total is not None and not said.refused:
        of = f"{said.current} of {counted(said.total, 'sidecar runs', 'sidecars run')}"
        told.append(f"{of} this generation" if not said.stale else "not looked at since it was changed")
    return "; ".join(told)


def agent_labels(pod: Obj) -> dict[str, str]:
    """The labels by which policies select: those of admission, else those of now."""
    try:
        value = json.loads(environment(pod).get(ENV_AGENT_LABELS.name, ""))
    except ValueError:
        return labels_of(pod)
    return value if isinstance(value, dict) else labels_of(pod)


def narrowing_of(pod: Obj) -> Narrowing:
    """What annotations take away, as the sidecar is told; nothing where that cannot be read."""
    log = ErrorLog(ENVIRONMENT)
    tree = overlay(None, {key: value for key, value in environment(pod).items() if "_NARROW_" in key}, log)
    for entry in tree.entries if isinstance(tree, Tree) else ():
        if entry.key == "narrow":
            read = read_narrowing(entry.value, Place(Sheet(log), ""))
            return Narrowing() if isinstance(read, Invalid) else read
    return Narrowing()


def _named(policy: AgentPolicy, narrowing: Narrowing) -> str:
    left_out = ", left out by annotation" if narrowing.leaves_out(policy.name) else ""
    mode = "enforce" if narrowing.enforce else policy.mode
    return f"AgentPolicy/{policy.name} ({mode}, egress: {policy.egress}{left_out})"


def _egress(compiled: Policy) -> str:
    """What the sidecar would say of a destination that nobody declared."""
    decision = compiled.egress(_UNDECLARED, 443)
    return "allow" if decision.allowed and not decision.observed else "deny"


def _outbound(policies: list[AgentPolicy], documents: Documents, namespace: str) -> Iterator[tuple[str, str]]:
    for policy in policies:
        for rule in policy.outbound:
            for backend in documents.backends:
                if rule.backend in names_of(backend, namespace):
                    yield (
                        _destination(backend),
                        _told_of(rule, rule.mcp) if backend.protocol == "MCP" else "everything",
                    )


def _callable(policies: list[AgentPolicy], backends: Iterable[Backend], namespace: str) -> Iterator[Backend]:
    """The Backends that some rule speaks of, each once."""
    rules = {rule.backend for policy in policies for rule in policy.outbound}
    return (one for one in backends if not rules.isdisjoint(names_of(one, namespace)))


def _inbound(policies: list[AgentPolicy]) -> Iterator[tuple[str, str]]:
    for policy in policies:
        for rule in policy.inbound or ():
            mcp = [] if rule.mcp is None else [f"MCP at {rule.mcp_path}: {_told_of(rule, rule.mcp)}"]
            what = [*mcp, *(["plain HTTP"] if rule.http else [])]
            yield ", ".join(rule.sources), "; ".join(what) or "nothing"


def _destination(backend: Backend) -> str:
    return f"{backend.name} ({backend.protocol}, {backend.host}:{backend.port}{backend.path.rstrip('/')})"


def _told_of(rule: OutboundRule | InboundRule, grant: McpGrant) -> str:
    """What a rule grants of MCP, and what it does about content and how often."""
    return "; ".join([_granted(grant), *guardrails_told(rule.guardrails), *rates_told(rule.rate)])


def _granted(grant: McpGrant) -> str:
    kinds = {"tools": grant.tools, "prompts": grant.prompts, "resources": grant.resources}
    told = [f"{kind} {_entries(names)}" for kind, names in kinds.items() if names is not None and names.allow]
    unknown = ["unknown methods"] if grant.unknown_methods else []
    return "; ".join([*told, *unknown]) or "the base protocol only"


def _entries(names: Names) -> str:
    denied = f" but not {', '.join(names.deny)}" if names.deny else ""
    return f"{', '.join(names.allow)}{denied}"


def _told(narrowing: Narrowing) -> Iterator[str]:
    told: dict[str, Any] = dict(narrowing.told() or {})
    for key, value in told.items():
        yield f"{key}: {value if isinstance(value, str) else json.dumps(value)}"
