"""References of a policy to what it is about."""

from __future__ import annotations

from mesh.policy.access import shapes
from mesh.policy.access.documents import TargetRef
from mesh.policy.fields import INVALID, Field, Invalid, Place, Reader, read_object, text
from mesh.policy.yaml_tree import Node

TARGET_FIELDS = {
    "group": Field(text(shapes.group), missing='the API group, "" for a Service'),
    "kind": Field(text(shapes.kind), missing="Gateway, XBackend, Backend or Service"),
    "name": Field(text(shapes.any_text(253)), missing="the name of the target"),
    # Which listener of a Gateway, or port of a Service. A sidecar has neither: the policy is about all of them.
    "sectionName": Field(text(shapes.section_name)),
}


def targets(namespace: str | None) -> Reader:
    """`targetRefs` of a policy in `namespace`: one to ten, of one kind."""

    def read_one(node: Node, place: Place) -> TargetRef | Invalid:
        values = read_object(node, place, TARGET_FIELDS)
        if values is None or INVALID in values.values():
            return INVALID
        return TargetRef(values["group"], values["kind"], namespace, values["name"])

    read_all = shapes.all_of(read_one, at_least=1, at_most=10)

    def read(node: Node, place: Place) -> tuple[TargetRef, ...] | Invalid:
        found = read_all(node, place)
        if isinstance(found, Invalid):
            return INVALID
        for index, ref in enumerate(found):
            if ref.kind != found[0].kind:
                message = f"every target has the kind of the first, {found[0].kind}"
                place.item(index).child("kind").report(message, node.line)
                return INVALID
        return tuple(dict.fromkeys(found))

    return read


STANDING_FIELDS = {**TARGET_FIELDS, "namespace": Field(text(shapes.namespace))}


def _read_standing_target(node: Node, place: Place) -> TargetRef | Invalid:
    values = read_object(node, place, STANDING_FIELDS)
    if values is None or INVALID in values.values():
        return INVALID
    return TargetRef(values["group"], values["kind"], values["namespace"], values["name"])


def read_standing(
    name: str, namespace: str | None, node: Node, place: Place
) -> tuple[TargetRef, ...] | Invalid:
    """The targets that a workload stands behind, of a document of kind Standing."""
    read_all = shapes.all_of(_read_standing_target, at_most=1000)
    fields = {"targets": Field(read_all, missing="the targets that this workload stands behind")}
    values = read_object(node, place, fields)
    return INVALID if values is None else values["targets"]
