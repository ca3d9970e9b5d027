"""The schema of an AgentPolicy document, and its reading into an `AgentPolicy`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from mesh.policy import yaml_tree
from mesh.policy.arguments_schema import read_arguments
from mesh.policy.crosscheck import TOOL_RATES
from mesh.policy.documents import (
    EVERY_BACKEND,
    MCP_PATH,
    AgentPolicy,
    Egress,
    InboundRule,
    McpGrant,
    Mode,
    Names,
    OutboundRule,
    ServerRequest,
)
from mesh.policy.entries import name_fault, resource_fault
from mesh.policy.errors import shown
from mesh.policy.fields import (
    INVALID,
    Field,
    Invalid,
    Mention,
    Place,
    boolean,
    choice,
    describe,
    list_of,
    read_object,
    sound,
    text,
)
from mesh.policy.guardrail_schema import read_guardrails
from mesh.policy.guardrails import RateLimits
from mesh.policy.hosts import normal_path, path_fault
from mesh.policy.metadata import name_check, namespace_check
from mesh.policy.oauth_schema import read_needed_scopes
from mesh.policy.rate_schema import read_rate_limit
from mesh.policy.spiffe_pattern import source_fault
from mesh.policy.user_entries import user_fault
from mesh.policy.user_schema import read_users
from mesh.policy.yaml_tree import Node

# Parts of a rule that this version does not act on: refused, since a reader of the policy would rely on them.
RULE_UNSUPPORTED = ("a2a",)

_LABEL_KEY = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


_DENY_ALONE = 'deny alone grants nothing; write allow: ["*"] next to it to grant the rest'
_NO_ALLOW = 'write allow: ["*"] to grant everything, allow: [] to grant nothing'


def read_names(entry_fault: Callable[[str], str | None], node: Node, place: Place) -> Names | Invalid:
    """A section of names: `allow`, and optionally `deny`."""
    entries = list_of(text(entry_fault))
    missing = _DENY_ALONE if "deny" in _keys(node) else _NO_ALLOW
    fields = {"allow": Field(entries, missing=missing), "deny": Field(entries, default=())}
    values = read_object(node, place, fields)
    if values is None:
        return INVALID
    allow, deny = values["allow"], values["deny"]
    if isinstance(allow, Invalid) or isinstance(deny, Invalid):
        return INVALID
    if _contradicts(allow, deny, node, place) or INVALID in (*allow, *deny):
        return INVALID
    return Names(allow, deny)


def _keys(node: Node) -> tuple[str, ...]:
    return tuple(entry.key for entry in node.entries) if isinstance(node, yaml_tree.Mapping) else ()


def _contradicts(allow: tuple[Any, ...], deny: tuple[Any, ...], node: Node, place: Place) -> bool:
    """Report entries that are allowed and denied at once: deny would win, so that the other is a mistake."""
    granted = {entry: index for index, entry in reversed(list(enumerate(allow))) if entry is not INVALID}
    twice = [(index, entry) for index, entry in enumerate(deny) if entry in granted]
    for index, entry in twice:
        message = f"{shown(entry)} stands in allow[{granted[entry]}] too; keep it in one of the two"
        place.child("deny").item(index).report(message, node.line)
    return bool(twice)


def read_unknown_methods(node: Node, place: Place) -> bool | Invalid:
    """`unknownMethods: allow` lets methods pass that this version cannot inspect; `deny` is the default."""
    value = choice(Egress)(node, place)
    return INVALID if isinstance(value, Invalid) else value == Egress.ALLOW


MCP_FIELDS = {
    "tools": Field(partial(read_names, name_fault)),
    "prompts": Field(partial(read_names, name_fault)),
    "resources": Field(partial(read_names, resource_fault)),
    "unknownMethods": Field(read_unknown_methods, default=False),
    "arguments": Field(read_arguments, default=()),
}


def _grant(values: dict[str, Any]) -> McpGrant:
    kinds = (values["tools"], values["prompts"], values["resources"])
    return McpGrant(*kinds, values["unknownMethods"], values["arguments"])


def _backend_name(value: str) -> str | None:
    if value == EVERY_BACKEND:
        return None
    namespace, slash, name = value.rpartition("/")
    return name_check(name) or (namespace_check(namespace) if slash else None)


_USER_FIELDS = {
    "users": Field(list_of(text(user_fault), at_least=1), default=()),
    "scopes": Field(read_needed_scopes, default=()),
}
_CONTENT_FIELDS = {
    "guardrails": Field(read_guardrails),
    "rateLimit": Field(read_rate_limit),
}
OUTBOUND_FIELDS = {
    "backend": Field(text(_backend_name), missing='the name of a Backend, or "*" for every Backend'),
    **_USER_FIELDS,
    **MCP_FIELDS,
    "serverRequests": Field(list_of(choice(ServerRequest))),
    **_CONTENT_FIELDS,
}


_ONLY_MCP = (*MCP_FIELDS, "serverRequests", *_CONTENT_FIELDS)


def read_outbound(node: Node, place: Place) -> OutboundRule | Invalid:
    """One rule of `outbound`."""
    values = read_object(node, place, OUTBOUND_FIELDS, unsupported=RULE_UNSUPPORTED)
    if values is None:
        return INVALID
    if isinstance(values["backend"], str) and values["backend"] != EVERY_BACKEND:
        mcp_fields = tuple(key for key in _keys(node) if key in _ONLY_MCP)
        rate = values["rateLimit"]
        if isinstance(rate, RateLimits) and rate.tools:
            mcp_fields += (TOOL_RATES,)
        user_fields = tuple(key for key in _keys(node) if key in _USER_FIELDS)
        place.sheet.mentions.append(Mention(place.path, values["backend"], mcp_fields, user_fields))
    if not sound(values):
        return INVALID
    asked = values["serverRequests"]
    server_requests = None if asked is None else frozenset(asked)
    users, scopes = values["users"], frozenset(values["scopes"])
    return OutboundRule(
        values["backend"],
        _grant(values),
        server_requests,
        users,
        scopes,
        values["guardrails"],
        values["rateLimit"],
    )


INBOUND_MCP_FIELDS = {"path": Field(text(path_fault), default=MCP_PATH), **MCP_FIELDS}


def read_mcp(node: Node, place: Place) -> tuple[McpGrant, str] | Invalid:
    """The `mcp` section of an inbound rule: what it grants, and at which path."""
    values = read_object(node, place, INBOUND_MCP_FIELDS)
    if values is None or INVALID in values.values():
        return INVALID
    return _grant(values), normal_path(values["path"])


def read_http(node: Node, place: Place) -> bool | Invalid:
    """The `http` section of an inbound rule: `{allow: true}`."""
    values = read_object(node, place, {"allow": Field(boolean, missing="write true or false")})
    return INVALID if values is None else values["allow"]


INBOUND_FIELDS = {
    "from": Field(
        list_of(text(source_fault), at_least=1),
        missing='write the SPIFFE IDs of the callers, or ["*"] for every authenticated peer',
    ),
    **_USER_FIELDS,
    "mcp": Field(read_mcp),
    "http": Field(read_http, default=False),
    **_CONTENT_FIELDS,
}


def read_inbound(node: Node, place: Place) -> InboundRule | Invalid:
    """One rule of `inbound`."""
    values = read_object(node, place, INBOUND_FIELDS, unsupported=RULE_UNSUPPORTED)
    if values is None:
        return INVALID
    if values["mcp"] is None and values["http"] is False:
        return place.error(
            node, "the rule grants nothing; add mcp: {tools: {allow: [...]}} or http: {allow: true}"
        )
    without_mcp = _CONTENT_FIELDS.keys() & _keys(node) if values["mcp"] is None else ()
    for key in sorted(without_mcp):
        place.child(key).report("the rule grants no MCP, so this would have no effect; remove it", node.line)
    if without_mcp or not sound(values):
        return INVALID
    grant, path = values["mcp"] or (None, MCP_PATH)
    users, scopes = values["users"], frozenset(values["scopes"])
    guardrails, rate = values["guardrails"], values["rateLimit"]
    return InboundRule(values["from"], grant, values["http"], path, users, scopes, guardrails, rate)


def read_labels(node: Node, place: Place) -> tuple[tuple[str, str], ...] | Invalid:
    """`matchLabels`: label names and values as Kubernetes has them."""
    if not isinstance(node, yaml_tree.Mapping):
        if isinstance(node, yaml_tree.Broken):
            return INVALID
        return place.error(node, f"expected a mapping of labels, found {describe(node)}")
    labels = []
    for entry in node.entries:
        below = place.child(entry.key)
        if not _LABEL_KEY.fullmatch(entry.key):
            below.error(entry.value, "not a label name; allowed: [prefix/]name of A-Z a-z 0-9 . _ -")
        labels.append((entry.key, _read_label_value(entry.value, below)))
    return INVALID if any(value is INVALID for _, value in labels) else tuple(labels)


def _label_value_fault(value: str) -> str | None:
    if _LABEL_VALUE.fullmatch(value):
        return None
    return f"{shown(value)} is no label value; allowed: up to 63 of A-Z a-z 0-9 . _ -"


_read_label_value = text(_label_value_fault)


def read_selector(node: Node, place: Place) -> tuple[tuple[str, str], ...] | Invalid:
    """`selector`: the labels of the agents that the policy is for."""
    fields = {"matchLabels": Field(read_labels, default=())}
    values = read_object(node, place, fields, unsupported=("matchExpressions",))
    return INVALID if values is None else values["matchLabels"]


POLICY_FIELDS = {
    "selector": Field(read_selector, default=()),
    "mode": Field(choice(Mode), default=Mode.ENFORCE),
    "egress": Field(choice(Egress), default=Egress.DENY),
    "outbound": Field(list_of(read_outbound), default=()),
    "inbound": Field(list_of(read_inbound)),
    "users": Field(read_users),
}
UNSUPPORTED = ("behaviour",)


def read_policy(name: str, namespace: str | None, node: Node, place: Place) -> AgentPolicy | Invalid:
    """The AgentPolicy that `spec` describes, INVALID when a fault was reported."""
    values = read_object(node, place, POLICY_FIELDS, unsupported=UNSUPPORTED)
    if values is None or not sound(values):
        return INVALID
    return AgentPolicy(
        name=name,
        namespace=namespace,
        match_labels=values["selector"],
        mode=values["mode"],
        egress=values["egress"],
        outbound=values["outbound"],
        inbound=values["inbound"],
        users=values["users"],
    )
