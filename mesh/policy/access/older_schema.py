"""The schema of an XAccessPolicy, v0alpha0, and its reading into the words of v1alpha1.

`InlineTools` becomes calls of those tools, and the base protocol, which that version always let pass; so it does
here for the rule's source. What is left to an `ExternalAuth` rule passes if the service says yes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from mesh.policy.access import shapes
from mesh.policy.access.auth_schema import read_auth
from mesh.policy.access.authorization_schema import read_cel
from mesh.policy.access.documents import (
    AGENTIC_GROUP,
    GATEWAY_GROUP,
    AccessPolicy,
    AccessRule,
    Action,
    Authorization,
    AuthService,
    MethodMatch,
)
from mesh.policy.access.policy_schema import MAX_RULES, distinct
from mesh.policy.access.source_schema import sources
from mesh.policy.access.target_schema import targets
from mesh.policy.fields import INVALID, Field, Invalid, Place, Reader, choice, read_object, text
from mesh.policy.yaml_tree import Node

MAX_TOOLS = 1000
_TARGETS = frozenset({(AGENTIC_GROUP, "XBackend"), (GATEWAY_GROUP, "Gateway")})


class OlderType(StrEnum):
    """How a rule says what it is about."""

    INLINE_TOOLS = "InlineTools"
    EXTERNAL_AUTH = "ExternalAuth"
    CEL = "CEL"


_MEMBER = {OlderType.INLINE_TOOLS: "tools", OlderType.EXTERNAL_AUTH: "externalAuth", OlderType.CEL: "cel"}


@dataclass(frozen=True, slots=True)
class _Said:
    """What `authorization` says: in the newer words, or that a service is to be asked."""

    authorization: Authorization | None
    external_auth: AuthService | None = None


def _authorizations(namespace: str | None) -> Reader:
    fields = {
        "type": Field(choice(OlderType), missing="allowed: InlineTools, ExternalAuth, CEL"),
        "tools": Field(shapes.set_of(text(shapes.any_text(512, empty=True)), at_most=MAX_TOOLS, one="tool")),
        "externalAuth": Field(partial(read_auth, namespace)),
        "cel": Field(read_cel),
    }

    def read(node: Node, place: Place) -> _Said | Invalid:
        values = read_object(node, place, fields)
        if values is None or INVALID in values.values():
            return INVALID
        given = [member for member in _MEMBER.values() if values[member] is not None]
        needed = _MEMBER[values["type"]]
        if given != [needed]:
            return place.error(node, f"type {values['type']} needs {needed}, and no other than it")
        return _said(values)

    return read


def _said(values: dict[str, Any]) -> _Said:
    if values["externalAuth"] is not None:
        return _Said(None, values["externalAuth"])
    if values["cel"] is not None:
        expression, message = values["cel"]
        return _Said(Authorization(base=True, cel=expression, message=message))
    tools = values["tools"]
    methods = (MethodMatch("tools/call", tools),) if tools else ()
    return _Said(Authorization(methods=methods, base=True))


_Read = tuple[AccessRule, AuthService | None]


def _rules(namespace: str | None) -> Reader:
    fields = {
        "name": Field(text(shapes.rule_name), missing="the name of the rule"),
        "source": Field(sources(namespace), missing="whom the rule is about"),
        "authorization": Field(_authorizations(namespace), default=_Said(None)),
    }

    def read_rule(node: Node, place: Place) -> _Read | Invalid:
        values = read_object(node, place, fields)
        if values is None or INVALID in values.values():
            return INVALID
        source = next(iter(values["source"]), None)
        if source is None:
            return place.child("source").child("type").error(node, "missing; ServiceAccount or SPIFFE")
        said = values["authorization"]
        asked = said.external_auth
        return AccessRule(values["name"], source, said.authorization, asked is not None), asked

    read_all = shapes.all_of(read_rule, at_least=1, at_most=MAX_RULES)

    def read(node: Node, place: Place) -> tuple[_Read, ...] | Invalid:
        found = read_all(node, place)
        if isinstance(found, Invalid):
            return INVALID
        if isinstance(distinct(tuple(rule for rule, _ in found), node, place), Invalid):
            return INVALID
        if sum(asked is not None for _, asked in found) > 1:
            return place.error(node, "at most one rule has the type ExternalAuth")
        return tuple(found)

    return read


def read_older_policy(name: str, namespace: str | None, node: Node, place: Place) -> AccessPolicy | Invalid:
    """The AccessPolicy that `spec` describes, INVALID when a fault was reported."""
    fields = {
        "targetRefs": Field(targets(namespace), missing="one to ten targets"),
        "rules": Field(_rules(namespace), missing="one to ten rules"),
    }
    values = read_object(node, place, fields)
    if values is None or not _known_targets(values["targetRefs"], node, place) or INVALID in values.values():
        return INVALID
    return AccessPolicy(
        name=name,
        namespace=namespace,
        targets=values["targetRefs"],
        action=Action.ALLOW,
        external_auth=next((asked for _, asked in values["rules"] if asked is not None), None),
        rules=tuple(rule for rule, _ in values["rules"]),
    )


def _known_targets(found: Any, node: Node, place: Place) -> bool:
    if isinstance(found, Invalid):
        return False
    for index, ref in enumerate(found):
        if (ref.group, ref.kind) not in _TARGETS:
            message = f"a target is an XBackend of {AGENTIC_GROUP} or a Gateway of {GATEWAY_GROUP}"
            place.child("targetRefs").item(index).report(message, node.line)
            return False
    return True
