"""Schemas of a CRD, made from the readers by which policies are loaded.

A reader of the tables in mesh.policy becomes what it takes: names, types, choices, ranges, patterns, and rules
between fields in CEL. A schema may take more than the loader, which has the last word, and never less. Everything
has a size, without which the API server could not bound what the rules cost.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from typing import Any, Final

from charts.field_words import WORDS
from mesh.cel import MAX_EXPRESSION
from mesh.identity.jws import ALGORITHMS
from mesh.policy import (
    arguments_schema,
    backend_schema,
    credential_schema,
    detector_schema,
    documents,
    durations,
    external_schema,
    grants_schema,
    guardrail_schema,
    oauth_schema,
    pin_schema,
    policy_schema,
    rate_schema,
    switches,
    user_schema,
)
from mesh.policy.fields import Field, Reader, boolean, choice, integer, list_of, number, read_text, text
from mesh.policy.guardrails import DetectorKind, PinMode
from mesh.policy.hosts import MAX_PATH
from mesh.policy.urls import MAX_URL

KEPT: Final = "x-kubernetes-preserve-unknown-fields"
RULES: Final = "x-kubernetes-validations"
SHORT: Final = "or in a word"
"""Where a schema that takes more than one type has the object among them; in no CRD, which cannot say it."""
LEFT: Final = "left to the loader"
"""Where a schema has the rules of ABSENCES, as RULES has the others; in no CRD."""
Schema = dict[str, Any]

_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
_NAMESPACE = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_LABEL_VALUE = r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?"
_ID = r"spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+"
_ID_PATTERN = r"spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._*?-]+)+"
# A segment that is neither "." nor "..", of the characters that a path may have.
_SEGMENT = (
    r"(\.{0,2}[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*|\.{3}[A-Za-z0-9._~!$&'()*+,;=:@-]*)"
)


def _stars(character: str) -> str:
    """Text of `character` with up to eight stars, of which no two are side by side."""
    return rf"{character}*(\*{character}+){{0,7}}(\*{character}*)?"


_ENTRY_NAME = rf"([^*?]*|{_stars('[A-Za-z0-9_./?-]')})"
_PRINTABLE = r"[^*\x00-\x1f\x7f-\x9f]"
_ENTRY_URI = rf"([^*?]*|{_stars(_PRINTABLE)})"


def _matching(pattern: str, at_most: int, at_least: int = 1) -> Schema:
    return {"pattern": f"^{pattern}$", "minLength": at_least, "maxLength": at_most}


TEXTS: Final[dict[str, Schema]] = {
    "name_fault": _matching(_ENTRY_NAME, 512),
    "resource_fault": _matching(_ENTRY_URI, 512),
    "_backend_name": _matching(rf"(\*|({_NAMESPACE}/)?{_NAME})", 317),
    "path_fault": _matching(rf"(/{_SEGMENT})*/?", MAX_PATH),
    "host_fault": _matching(r"[A-Za-z0-9:.*-]+", 256),
    "id_fault": _matching(_ID, 2048),
    "source_fault": _matching(rf"(\*|unauthenticated|{_ID_PATTERN})", 2048),
    "_label_value_fault": _matching(_LABEL_VALUE, 63, 0),
    "expression_fault": {"minLength": 1, "maxLength": MAX_EXPRESSION},
    "_message_fault": {"maxLength": 1024},
    "user_fault": {"pattern": "^[^#]+#(.|\n)+$", "minLength": 3, "maxLength": 1025},
    "url_fault": _matching(r"https?://[^?#@/]+(/[^?#]*)?", MAX_URL),
    "scope_fault": _matching(r"[!#-\[\]-~]+", 256),
    "word_fault": _matching(r"[ -~]+", oauth_schema.MAX_TEXT),
    "secret_name_fault": _matching(_NAME, 253),
    "secret_key_fault": _matching(r"(\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)", 253),
    "header_fault": _matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", 128),
    "scheme_fault": _matching(r"[A-Za-z0-9!#$%&'*+.^_`|~-]*", 128, 0),
    "_app_fault": _matching(r"[A-Za-z0-9._-]+", 64),
    "_installation_fault": _matching(r"[0-9]+", 20),
    "_repository_fault": _matching(r"[A-Za-z0-9._-]+", 100),
    "vault_path_fault": _matching(rf"{_SEGMENT}(/{_SEGMENT})*", 8192),
    "_variable_fault": _matching(r"[-._a-zA-Z][-._a-zA-Z0-9]*", 255),
    "kind_fault": _matching(r"[A-Z0-9_]+", 64),
    "locale_fault": _matching(r"[a-z]+", 8, 2),
    "term_fault": {"minLength": 1, "maxLength": detector_schema.MAX_WORD},
    "destination_fault": _matching(r"[A-Za-z0-9:.*-]+", 256),
    "processor_name_fault": _matching(_NAME, 253),
    "model_fault": {"minLength": 1, "maxLength": external_schema.MAX_MODEL},
    "criterion_fault": {"minLength": 1, "maxLength": external_schema.MAX_CRITERION},
    "digest_fault": _matching(r"sha256:[0-9a-f]{64}", 71, 71),
    "algorithm_fault": {"enum": [*ALGORITHMS]},
    "bypass_fault": _matching(rf"(/{_SEGMENT})*(/|/\*)?", MAX_PATH + 2),
}
"""Strings by what checks them."""

# Readers that are functions of their own: what they read, which no table tells.
_NAMES = {"allow": Field(list_of(text(lambda _: None))), "deny": Field(list_of(text(lambda _: None)))}
OBJECTS: Final[dict[str, Mapping[str, Field]]] = {
    "AgentPolicy": policy_schema.POLICY_FIELDS,
    "Backend": backend_schema.BACKEND_FIELDS,
    "read_selector": {"matchLabels": Field(policy_schema.read_labels)},
    "read_outbound": policy_schema.OUTBOUND_FIELDS,
    "read_inbound": policy_schema.INBOUND_FIELDS,
    "read_mcp": policy_schema.INBOUND_MCP_FIELDS,
    "read_http": {"allow": Field(boolean, missing="needed")},
    "read_names": _NAMES,
    "_read_rule": arguments_schema.ARGUMENT_FIELDS,
    "read_tls": backend_schema.TLS_FIELDS,
    "read_credential": credential_schema.CREDENTIAL_FIELDS,
    "read_exchange": grants_schema.EXCHANGE_FIELDS,
    "read_client_credentials": grants_schema.CLIENT_CREDENTIALS_FIELDS,
    "read_jwt_bearer": grants_schema.JWT_BEARER_FIELDS,
    "read_id_jag": grants_schema.ID_JAG_FIELDS,
    "read_server": oauth_schema.SERVER_FIELDS,
    "read_client": oauth_schema.CLIENT_FIELDS,
    "read_secret_key": oauth_schema.SECRET_KEY_FIELDS,
    "read_svid": credential_schema.SVID_FIELDS,
    "read_secret": credential_schema.SECRET_FIELDS,
    "read_github_app": credential_schema.GITHUB_APP_FIELDS,
    "read_vault": credential_schema.VAULT_FIELDS,
    "read_hidden": credential_schema.HIDDEN_FIELDS,
    "read_users": user_schema.USERS_FIELDS,
    "read_issuer": user_schema.ISSUER_FIELDS,
    "read_introspection": user_schema.INTROSPECTION_FIELDS,
    "read_guardrails": guardrail_schema.GUARDRAILS_FIELDS,
    **{f"read_detector {kind}": fields for kind, fields in guardrail_schema.DETECTOR_FIELDS.items()},
    "read_processor": guardrail_schema.PROCESSOR_FIELDS,
    "read_external": external_schema.EXTERNAL_FIELDS,
    "read_rate_limit": rate_schema.RATE_FIELDS,
    "read_tool_rate": rate_schema.TOOL_RATE_FIELDS,
    "read_pin": pin_schema.PIN_FIELDS,
}
_OTHERS: Final[dict[str, Schema]] = {
    "boolean": {"type": "boolean"},
    "read_unknown_methods": {"type": "string", "enum": ["deny", "allow"], "default": "deny"},
    "read_labels": {
        "type": "object",
        "additionalProperties": {"type": "string", **TEXTS["_label_value_fault"]},
    },
    "read_json_object": {"type": "object", KEPT: True},
    "read_pinned_tools": {
        "type": "object",
        "minProperties": 1,
        "maxProperties": pin_schema.MAX_TOOLS,
        "additionalProperties": {"type": "string", **TEXTS["digest_fault"]},
    },
    "read_permissions": {
        "type": "object",
        "maxProperties": credential_schema.MAX_PERMISSIONS,
        "additionalProperties": {"type": "string", "enum": [one.value for one in credential_schema.Access]},
    },
}

_WRITTEN = (
    f"[{', '.join(f'has(self.{key})' for key in credential_schema.CREDENTIAL_FIELDS)}].filter(x, x).size()"
)
_HAS_SERVER = (
    "has(self.issuer) || has(self.tokenEndpoint)",
    "write issuer, whose metadata name the token endpoint, or tokenEndpoint",
)
_OWN = (
    (kind, [f"has(self.{key})" for key in fields if key != "statements"])
    for kind, fields in detector_schema.OPTION_FIELDS.items()
)
_FOREIGN: Final = tuple(
    (
        f"self.detector == '{kind}' || !({' || '.join(written)})",
        f"{', '.join(one[9:-1] for one in written)}: only the detector {kind} has this; remove it",
    )
    for kind, written in _OWN
    if written
)
_NAMED_MODELS = "['llama-guard', 'shieldgemma', 'granite-guardian']"
_CONFIDENTIAL = "['private-key', 'secret-basic', 'secret-post']"

ABSENCES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "read_names": (
        (
            "has(self.allow)",
            'write allow: ["*"] to grant everything, allow: [] to grant nothing; deny alone grants nothing',
        ),
    ),
    "read_inbound": (
        (
            "has(self.mcp) || has(self.http) && self.http.allow",
            "the rule grants nothing; add mcp: {tools: {allow: [...]}} or http: {allow: true}",
        ),
    ),
    "read_tls": (
        (
            "has(self.mode) || has(self.identity)",
            "write {mode: Mesh, identity: spiffe://...}, {mode: Public} or {mode: None} (plain text)",
        ),
        (
            "!has(self.mode) || self.mode != 'Mesh' || has(self.identity)",
            "mode Mesh proves who the server is, so it needs the server's SPIFFE ID as identity",
        ),
    ),
    "read_credential": (
        (f"{_WRITTEN} > 0", f"write one of {', '.join(credential_schema.CREDENTIAL_FIELDS)}"),
    ),
    **dict.fromkeys(
        ("read_exchange", "read_client_credentials", "read_jwt_bearer", "read_server"), (_HAS_SERVER,)
    ),
    "read_processor": (
        (
            "self.detector != 'external' || has(self.external)",
            "write whom to ask: external: {kind: ..., url: https://...}",
        ),
        (
            "self.detector != 'terms' || has(self.words)",
            "write the terms to look for: words: [...]",
        ),
        (
            "self.detector != 'shape' || has(self.bytes) || has(self.depth) || has(self.items) || "
            "has(self.values) || has(self.characters)",
            "write at least one limit of shape: bytes, depth, items, values or characters",
        ),
        (
            "!(self.detector in ['sql', 'shape']) || self.action != 'mask'",
            "sql and shape find nothing that something else could stand for; write flag or block",
        ),
    ),
    "read_external": (
        (
            f"!(self.kind in {_NAMED_MODELS}) || has(self.model)",
            "llama-guard, shieldgemma and granite-guardian are asked as models by their names; write model",
        ),
    ),
    "read_rate_limit": (
        ("!has(self.requests) || has(self.per)", "write per: second, minute or hour beside requests"),
        (
            "has(self.requests) || has(self.tools) || has(self.concurrent) || has(self.resultBytes)",
            "nothing is limited; write requests, tools, concurrent or resultBytes",
        ),
    ),
    "read_pin": (
        (
            "self.mode != 'Approved' || has(self.digest) || has(self.tools)",
            "Approved compares with digest (of all tools) or tools (a digest each); write one",
        ),
        (
            "self.mode == 'Approved' || !has(self.digest) && !has(self.tools)",
            "only mode Approved compares with digest and tools; remove them",
        ),
    ),
    "read_client": (
        (
            f"!(has(self.method) && self.method in {_CONFIDENTIAL}) || has(self.id) && has(self.secret)",
            "private-key, secret-basic and secret-post need id and secret",
        ),
    ),
}
"""Rules as in BETWEEN about fields that are not there. They are documented, and in no CRD: an API server that
refuses an object by its CRD asks no webhook, and of `alow: [...]` all that it could say is: allow is missing."""

BETWEEN: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "read_tls": (
        (
            "!has(self.mode) || self.mode == 'Mesh' || !has(self.identity)",
            "only mode Mesh proves a SPIFFE ID; remove identity",
        ),
    ),
    "Backend": (
        (
            "self.protocol != 'MCP' || !self.host.startsWith('*.')",
            "a wildcard is for HTTP and TCP only; an MCP server has one exact host",
        ),
        (
            "self.protocol != 'TCP' || !has(self.path) || self.path == '/'",
            "protocol TCP has no paths; remove path",
        ),
        (
            "!has(self.credential) || self.protocol != 'TCP' && !self.host.startsWith('*.')",
            "a credential is for one exact host, and for MCP and HTTP only",
        ),
        ("!has(self.pin) || self.protocol == 'MCP'", "only MCP has tools to pin; remove pin"),
    ),
    "read_inbound": (
        (
            "has(self.mcp) || !has(self.guardrails) && !has(self.rateLimit)",
            "guardrails and rateLimit are about MCP, of which the rule grants nothing; remove them",
        ),
    ),
    "read_processor": _FOREIGN,
    "read_rate_limit": (
        (
            "has(self.requests) || !has(self.per) && !has(self.burst)",
            "per and burst are said of requests; write requests, or remove them",
        ),
        (
            "!has(self.failureMode) || has(self.shared) && self.shared",
            "failureMode is for limits with shared: true; remove it",
        ),
    ),
    "read_credential": ((f"{_WRITTEN} < 2", "a Backend has one credential; keep one of them"),),
    "read_client": (
        (
            f"!has(self.secret) || has(self.method) && self.method in {_CONFIDENTIAL}",
            "only private-key, secret-basic and secret-post have a secret; remove it",
        ),
    ),
    "read_exchange": (
        (
            "!has(self.preset) || self.preset == 'rfc8693' || "
            "!has(self.resource) && !(has(self.actor) && self.actor)",
            "keycloak and entra know neither resource nor actor; remove them",
        ),
        (
            "!(has(self.preset) && self.preset == 'entra') || !has(self.client) || "
            "!has(self.client.method) || self.client.method != 'jwt-spiffe'",
            "entra does not know the client method jwt-spiffe; write jwt-bearer",
        ),
    ),
    "read_jwt_bearer": (
        (
            "!has(self.assertion) || !has(self.assertionAudience)",
            "assertionAudience is the JWT-SVID's, and assertion takes its place; remove one of them",
        ),
    ),
}
"""Rules between fields, by the object that has them: what must hold (CEL), and what is wrong where it does not."""

_FROM = {factory(*arguments).__qualname__: factory.__name__ for factory, *arguments in (
    (choice, documents.Mode), (integer, 0, 1), (text, lambda _: None), (list_of, read_text),
    (durations.duration, "0s", "1h"), (number, 0, 1), (switches.switch, PinMode, PinMode.OFF),
)}  # fmt: skip


def schema_of(read: Reader) -> Schema:
    """What a reader takes; anything where no table tells, which a test forbids."""
    bound: tuple[Any, ...] = ()
    called: Any = read
    if isinstance(read, partial):
        called, bound = read.func, read.args
    name = called.__qualname__
    if name in _FROM:
        return _made(_FROM[name], inspect.getclosurevars(called).nonlocals)
    if name == "read_names" and bound:
        entry = {"type": "string", **TEXTS[bound[0].__name__]}
        names = object_of(name)
        for field in ("allow", "deny"):
            names["properties"][field]["items"] = entry
        return names
    if name == "read_detector":
        return {KEPT: True, SHORT: object_of(f"{name} {DetectorKind(bound[0])}")}
    if name == "read_tool_rates":
        rates = {"maxProperties": rate_schema.MAX_TOOLS, "additionalProperties": object_of("read_tool_rate")}
        return {"type": "object", **rates}
    if name == "read_arguments":
        return schema_of(arguments_schema._read_rules)
    if name in OBJECTS:
        return object_of(name)
    return dict(_OTHERS.get(name, {KEPT: True}))


def _made(factory: str, given: Mapping[str, Any]) -> Schema:
    """The schema of a reader that a factory made, from what it was made with."""
    match factory:
        case "choice":
            return {"type": "string", "enum": [*given["allowed"]]}
        case "switch":
            words = inspect.getclosurevars(given["chosen"]).nonlocals["allowed"]
            return {KEPT: True, "enum": [*words, False]}
        case "number":
            return {"type": "number", "minimum": given["low"], "maximum": given["high"]}
        case "integer":
            return {"type": "integer", "minimum": given["low"], "maximum": given["high"]}
        case "list_of":
            items = {"type": "array", "maxItems": given["at_most"], "items": schema_of(given["read_item"])}
            return {**items, "minItems": given["at_least"]} if given["at_least"] else items
        case "duration":
            return {"type": "string", **_matching(r"[0-9]{1,6}(ms|s|m|h)", 8)}
        case _:
            return {"type": "string", **TEXTS.get(given["check"].__name__, {})}


def object_of(name: str) -> Schema:
    """The object of a reader (or the spec of a kind): its fields, and others that the loader will judge."""
    fields = OBJECTS[name]
    schema: Schema = {
        "type": "object",
        KEPT: True,
        "properties": {key: _described(name, key, field) for key, field in fields.items()},
    }
    required = [key for key, field in fields.items() if field.missing]
    if required:
        schema["required"] = required
    for key, rules in ((LEFT, ABSENCES), (RULES, BETWEEN)):
        if name in rules:
            schema[key] = [{"rule": rule, "message": message} for rule, message in rules[name]]
    return schema


def _described(name: str, key: str, field: Field) -> Schema:
    schema = {"description": WORDS.get(name, {}).get(key, ""), **schema_of(field.read)}
    if isinstance(field.default, str) and field.default:
        default = field.default
        schema["default"] = default.value if isinstance(default, StrEnum) else default
    return schema
