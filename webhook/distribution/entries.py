"""Policy objects as they are in force, which is not always as they are stored.

The validating webhook refuses objects that cannot be read, but it can be passed by. Such an object never replaces
one that could be read: the last version that could is in force on. Where none is known, something closed stands
in for it: an AgentPolicy that refuses all, a Backend that no certificate satisfies, an XAccessPolicy that admits
nobody. Leaving the object out instead would widen what others grant, because part of what a policy does is to
refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import msgspec

from mesh.policy.errors import PolicyError, PolicyInvalid
from webhook.distribution.kinds import ACCESS_POLICY, AGENT_POLICY, BACKEND, GATEWAY, GATEWAY_CLASS, Key
from webhook.distribution.objects import Document, Meta, Resource, document

Read = Callable[[Mapping[str, Any]], Any]
"""An object to its value; raises PolicyInvalid."""
_SHOWN = 20


class Force(Enum):
    """What of an object is in force."""

    STORED = "stored"
    LAST_VALID = "last valid"
    CLOSED = "closed"


@dataclass(slots=True, eq=False)
class Entry:
    """A policy object: `meta` and `status` as stored; `value` and `document` as in force, None where nothing is.

    `faults`: what is wrong with it as stored. `variants`: what has been made of `document` for those whom not all
    of it concerns.
    """

    key: Key
    meta: Meta
    force: Force
    value: Any = None
    document: Document | None = None
    faults: tuple[str, ...] = ()
    status: Any = None
    version: str = ""
    variants: dict[object, Document] = field(default_factory=dict)


def nobody(trust_domain: str, namespace: str) -> str:
    """A SPIFFE ID that no workload has: no ServiceAccount's name holds an underscore (RFC 1123)."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/_nobody"


def enter(
    key: Key, resource: Resource, before: Entry | None, kept: Document | None, read: Read, trust_domain: str
) -> Entry:
    """The object as it is in force from now on.

    `before` is what was in force of the same object, `kept` its last valid version as far as it was written down.
    """
    if key.kind is GATEWAY:
        return Entry(key, resource.metadata, Force.STORED, _is_ours(resource.spec), status=resource.status)
    faults: tuple[str, ...] = ()
    for version in _versions(key):
        made = document(key, resource.metadata, resource.spec, api_version=version)
        try:
            value = read(msgspec.json.decode(made.body))
        except PolicyInvalid as invalid:
            faults = faults or tuple(map(_told, invalid.errors[:_SHOWN]))
        else:
            return Entry(key, resource.metadata, Force.STORED, value, made, status=resource.status)
    known = _known(before, kept, read)
    if known is not None:
        value, valid = known
        return Entry(key, resource.metadata, Force.LAST_VALID, value, valid, faults, resource.status)
    value, closed = _closed(key, resource, read, trust_domain)
    return Entry(key, resource.metadata, Force.CLOSED, value, closed, faults, resource.status)


def revived(entry: Entry, valid: Document, read: Read) -> Entry | None:
    """An object for which something closed stands in, with its last valid version in force, if that helps."""
    known = _known(None, valid, read) if entry.force is Force.CLOSED else None
    if known is None:
        return None
    return Entry(entry.key, entry.meta, Force.LAST_VALID, known[0], known[1], entry.faults, entry.status)


def _versions(key: Key) -> tuple[str, ...]:
    """As what to read it. XAccessPolicies are served as v1alpha1, but those of v0alpha0 are not converted."""
    older = (f"{key.kind.group}/v0alpha0",) if key.kind is ACCESS_POLICY else ()
    return (key.kind.api_version, *older)


def _known(before: Entry | None, kept: Document | None, read: Read) -> tuple[Any, Document] | None:
    if before is not None and before.force is not Force.CLOSED and before.document is not None:
        return before.value, before.document
    if kept is None:
        return None
    try:
        return read(msgspec.json.decode(kept.body)), kept
    except PolicyInvalid:
        return None


def _closed(key: Key, resource: Resource, read: Read, trust_domain: str) -> tuple[Any, Document | None]:
    """What stands in for an object that cannot be read, with as much of it as can; None where nothing can."""
    given = resource.spec if isinstance(resource.spec, dict) else {}
    for spec in _stand_ins(key, given, trust_domain):
        made = document(key, resource.metadata, spec)
        try:
            return read(msgspec.json.decode(made.body)), made
        except PolicyInvalid:
            continue
    return None, None


def _stand_ins(key: Key, given: Mapping[str, Any], trust_domain: str) -> Iterable[dict[str, Any]]:
    """Closed versions of an object, the closest to what is given first."""
    if key.kind is AGENT_POLICY:
        if "selector" in given:
            yield {"selector": given["selector"], **_REFUSES_ALL}
        yield _REFUSES_ALL
    elif key.kind is BACKEND:
        tls = {"mode": "Mesh", "identity": nobody(trust_domain, key.namespace)}
        place = {name: given[name] for name in ("protocol", "host", "port", "path") if name in given}
        yield {**place, "tls": tls}
        yield {
            **{name: place[name] for name in ("host", "port") if name in place},
            "protocol": "TCP",
            "tls": tls,
        }
    elif key.kind is ACCESS_POLICY and "targetRefs" in given:
        source = {"type": "SPIFFE", "spiffe": nobody(trust_domain, key.namespace)}
        yield {
            "targetRefs": given["targetRefs"],
            "action": "Allow",
            "rules": [{"name": "nobody", "source": source}],
        }


_NOTHING: dict[str, list[str]] = {"allow": [], "deny": ["*"]}
_REFUSES_ALL: dict[str, Any] = {
    "mode": "enforce",
    "egress": "deny",
    "outbound": [{"backend": "*", "tools": _NOTHING, "prompts": _NOTHING, "resources": _NOTHING}],
    "inbound": [
        {"from": ["*"], "mcp": {"tools": _NOTHING, "prompts": _NOTHING, "resources": _NOTHING}},
    ],
}


def _is_ours(spec: Any) -> bool:
    return isinstance(spec, dict) and spec.get("gatewayClassName") == GATEWAY_CLASS


def _told(error: PolicyError) -> str:
    return f"{error.path}: {error.message}" if error.path else error.message
