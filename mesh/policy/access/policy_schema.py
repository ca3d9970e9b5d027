"""The schema of an XAccessPolicy, v1alpha1, and its reading into an `AccessPolicy`.

Limits, enumerations and the rules between fields are those of its CRD.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from mesh.policy.access.auth_schema import read_auth
from mesh.policy.access.authorization_schema import read_authorization
from mesh.policy.access.documents import AccessPolicy, AccessRule, Action
from mesh.policy.access.shapes import all_of, rule_name
from mesh.policy.access.source_schema import sources
from mesh.policy.access.target_schema import targets
from mesh.policy.fields import INVALID, Field, Invalid, Place, Reader, choice, read_object, text
from mesh.policy.yaml_tree import Node

MAX_RULES = 10


def _rule_fields(namespace: str | None) -> dict[str, Field]:
    return {
        "name": Field(text(rule_name), missing="the name of the rule"),
        "source": Field(sources(namespace), default=()),
        "authorization": Field(read_authorization),
    }


def rules(namespace: str | None) -> Reader:
    """`rules` of a policy in `namespace`: at most ten, with names of their own."""
    fields = _rule_fields(namespace)

    def read_rule(node: Node, place: Place) -> AccessRule | Invalid:
        values = read_object(node, place, fields)
        if values is None or INVALID in values.values():
            return INVALID
        return AccessRule(values["name"], next(iter(values["source"]), None), values["authorization"])

    read_all = all_of(read_rule, at_most=MAX_RULES)

    def read(node: Node, place: Place) -> tuple[AccessRule, ...] | Invalid:
        found = read_all(node, place)
        return INVALID if isinstance(found, Invalid) else distinct(found, node, place)

    return read


def distinct(found: tuple[AccessRule, ...], node: Node, place: Place) -> tuple[AccessRule, ...] | Invalid:
    """The rules, if their names differ."""
    seen: set[str] = set()
    for index, rule in enumerate(found):
        if rule.name in seen:
            place.item(index).child("name").report(f"another rule has the name {rule.name}", node.line)
            return INVALID
        seen.add(rule.name)
    return found


def policy_fields(namespace: str | None) -> dict[str, Field]:
    """The fields of the spec of a policy in `namespace`."""
    return {
        "targetRefs": Field(targets(namespace), missing="one to ten targets"),
        "action": Field(choice(Action), missing="allowed: Allow, ExternalAuth"),
        "externalAuth": Field(partial(read_auth, namespace)),
        "rules": Field(rules(namespace), default=()),
    }


def read_access_policy(name: str, namespace: str | None, node: Node, place: Place) -> AccessPolicy | Invalid:
    """The AccessPolicy that `spec` describes, INVALID when a fault was reported."""
    values = read_object(node, place, policy_fields(namespace))
    if values is None or not _agrees(values, node, place) or INVALID in values.values():
        return INVALID
    action = values["action"]
    return AccessPolicy(
        name=name,
        namespace=namespace,
        targets=values["targetRefs"],
        action=action,
        external_auth=values["externalAuth"] if action is Action.EXTERNAL_AUTH else None,
        rules=values["rules"],
    )


def _agrees(values: dict[str, Any], node: Node, place: Place) -> bool:
    if values["action"] == Action.EXTERNAL_AUTH and values["externalAuth"] is None:
        place.child("externalAuth").error(node, "missing; action ExternalAuth needs it")
        return False
    return True
