"""The schema of a rule's `source`."""

from __future__ import annotations

import re
from enum import StrEnum

from mesh.policy.access import shapes
from mesh.policy.access.documents import ServiceAccount, Source
from mesh.policy.fields import INVALID, Field, Invalid, Place, Reader, choice, read_object, text
from mesh.policy.yaml_tree import Node

_SPIFFE = re.compile(r"spiffe://[a-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
_SPIFFE_ID = shapes.shaped(_SPIFFE, 2048, "SPIFFE ID, like spiffe://cluster.local/ns/agents/sa/triage,")


class SourceType(StrEnum):
    """What a source is told apart by."""

    SERVICE_ACCOUNT = "ServiceAccount"
    SPIFFE = "SPIFFE"


_MEMBER = {SourceType.SERVICE_ACCOUNT: "serviceAccount", SourceType.SPIFFE: "spiffe"}


def sources(policy_namespace: str | None) -> Reader:
    """`source` of a rule of a policy in a namespace. The value is (source,), or () for any source."""

    def read_account(node: Node, place: Place) -> ServiceAccount | Invalid:
        fields = {
            "name": Field(text(shapes.section_name), missing="the name of a ServiceAccount"),
            "namespace": Field(text(shapes.any_text(63, empty=True)), default=""),
        }
        values = read_object(node, place, fields)
        if values is None or INVALID in values.values():
            return INVALID
        namespace = values["namespace"] or policy_namespace
        if namespace is None:
            return place.child("namespace").error(node, "missing, and the policy has no namespace either")
        return ServiceAccount(namespace, values["name"])

    fields = {
        "type": Field(choice(SourceType)),
        "spiffe": Field(text(_SPIFFE_ID)),
        "serviceAccount": Field(read_account),
    }

    def read(node: Node, place: Place) -> tuple[Source, ...] | Invalid:
        values = read_object(node, place, fields)
        if values is None or INVALID in values.values():
            return INVALID
        chosen = values["type"]
        given = [member for member in ("spiffe", "serviceAccount") if values[member] is not None]
        if chosen is None and not given:
            return ()
        if chosen is None:
            return place.child("type").error(node, "missing; allowed: ServiceAccount, SPIFFE")
        if given != [_MEMBER[chosen]]:
            return place.error(node, f"type {chosen} needs {_MEMBER[chosen]}, and nothing else")
        return (values[_MEMBER[chosen]],)

    return read
