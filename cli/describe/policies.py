"""What policies say of one pod: which select it, what it may call, and who may call it.

Compiled by the same code as in the sidecar, from the ConfigMap that it reads, with the labels that the pod had
at admission and with what its annotations take away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cli.check.data_documents import policy_texts
from cli.check.objects import labels_of
from cli.cluster.answers import Obj
from cli.describe.settings import environment
from mesh.policy import Policy, PolicyInvalid, compile_policy, load_texts
from mesh.policy.documents import EVERY_BACKEND, AgentPolicy, Backend, Documents, McpGrant, Names
from mesh.policy.errors import ErrorLog
from mesh.policy.fields import Invalid, Place, Sheet
from mesh.policy.narrowing import Narrowing
from mesh.policy.yaml_tree import Mapping
from mesh.settings.table import ENV_AGENT_LABELS
from sidecar.environment import ENVIRONMENT, overlay
from sidecar.narrow_section import read_narrowing

_UNDECLARED = "undeclared.invalid"  # RFC 2606: nobody's


@dataclass(frozen=True, slots=True)
class Rights:
    """`outbound` and `inbound` are pairs: with whom, and what. With `errors` the documents have no effect."""

    policies: tuple[str, ...] = ()
    egress: str = ""
    outbound: tuple[tuple[str, str], ...] = ()
    inbound: tuple[tuple[str, str], ...] = ()
    narrowed: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def rights(pod: Obj, config_map: Obj, namespace: str) -> Rights:
    """What the policies in a ConfigMap mean for a pod."""
    try:
        documents = load_texts(policy_texts(config_map))
    except PolicyInvalid as invalid:
        return Rights(errors=tuple(map(str, invalid.errors)))
    labels, narrowing = agent_labels(pod), narrowing_of(pod)
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
    )


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
    for entry in tree.entries if isinstance(tree, Mapping) else ():
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
    backends = [one for one in documents.backends if one.namespace in (None, namespace)]
    for policy in policies:
        for rule in policy.outbound:
            for backend in backends:
                if rule.backend in (EVERY_BACKEND, backend.name):
                    yield (
                        _destination(backend),
                        _granted(rule.mcp) if backend.protocol == "MCP" else "everything",
                    )


def _inbound(policies: list[AgentPolicy]) -> Iterator[tuple[str, str]]:
    for policy in policies:
        for rule in policy.inbound or ():
            mcp = [] if rule.mcp is None else [f"MCP at {rule.mcp_path}: {_granted(rule.mcp)}"]
            what = [*mcp, *(["plain HTTP"] if rule.http else [])]
            yield ", ".join(rule.sources), "; ".join(what) or "nothing"


def _destination(backend: Backend) -> str:
    return f"{backend.name} ({backend.protocol}, {backend.host}:{backend.port}{backend.path.rstrip('/')})"


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
