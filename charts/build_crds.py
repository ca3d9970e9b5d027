"""Writes the chart's CRDs from the tables by which policy files are read.

`python -m charts.build_crds` writes them; a test checks that what is written is what the code says.

The loader stays the judge: it says everything that is wrong at once, with sentences, and the validating webhook
asks it. A CRD cannot say as much, so its schema holds what the tables hold: names, types, choices, ranges. Fields
that it does not know are kept rather than dropped, everywhere: an API server that silently dropped a rule written
in a later version's words would leave a policy that grants more than it says. The loader refuses them by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import yaml

from mesh.policy import backend_schema, documents, policy_schema
from mesh.policy.fields import Field, Reader, boolean, choice, integer, list_of, read_text, text

FOLDER = Path(__file__).parent / "outrider" / "templates" / "crds"
KEPT = "x-kubernetes-preserve-unknown-fields"
Schema = dict[str, Any]

_LABELS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_NAMES = {
    "allow": Field(list_of(text(lambda _: None)), missing="needed"),
    "deny": Field(list_of(text(lambda _: None))),
}

# Readers that are functions of their own: what they read, which no table tells.
_OBJECTS: dict[str, tuple[str, Mapping[str, Field]]] = {
    "read_outbound": ("One grant: what agents may use of a Backend.", policy_schema.OUTBOUND_FIELDS),
    "read_inbound": ("One grant: who may call, and what.", policy_schema.INBOUND_FIELDS),
    "read_mcp": ("What callers may use of this workload's MCP server.", policy_schema.INBOUND_MCP_FIELDS),
    "read_http": ("Whether plain HTTP is granted.", {"allow": Field(boolean, missing="needed")}),
    "read_names": ("Names and patterns; what is denied wins.", _NAMES),
    "read_tls": ("How sidecars connect, and whom they expect.", backend_schema.TLS_FIELDS),
}
_OTHERS: dict[str, Schema] = {
    "boolean": {"type": "boolean"},
    "read_unknown_methods": {"type": "string", "enum": ["deny", "allow"]},
    "read_selector": {
        "description": "The agents that the policy is for; all of the namespace where empty.",
        "type": "object",
        "properties": {"matchLabels": _LABELS},
        KEPT: True,
    },
}
_FROM = {factory(*arguments).__qualname__: factory.__name__ for factory, *arguments in (
    (choice, documents.Mode), (integer, 0, 1), (text, lambda _: None), (list_of, read_text),
)}  # fmt: skip


def schema_of(read: Reader) -> Schema:
    """What a reader takes, as far as it can be told; anything where it cannot."""
    if isinstance(read, partial):
        read = read.func
    name = read.__qualname__
    if name in _FROM:
        return _made(_FROM[name], inspect.getclosurevars(cast("Any", read)).nonlocals)
    if name in _OBJECTS:
        description, fields = _OBJECTS[name]
        return {"description": description, **object_of(fields)}
    return _OTHERS.get(name, {KEPT: True})


def _made(factory: str, given: Mapping[str, Any]) -> Schema:
    """The schema of a reader that a factory made, from what it was made with."""
    match factory:
        case "choice":
            return {"type": "string", "enum": [*given["allowed"]]}
        case "integer":
            return {"type": "integer", "minimum": given["low"], "maximum": given["high"]}
        case "list_of":
            items = {"type": "array", "items": schema_of(given["read_item"]), "maxItems": given["at_most"]}
            return {**items, "minItems": given["at_least"]} if given["at_least"] else items
        case _:
            return {"type": "string"}


def object_of(fields: Mapping[str, Field]) -> Schema:
    """A mapping with these fields, and with others that the loader will judge."""
    schema: Schema = {
        "type": "object",
        KEPT: True,
        "properties": {key: schema_of(field.read) for key, field in fields.items()},
    }
    required = [key for key, field in fields.items() if field.missing]
    return {**schema, "required": required} if required else schema


def _column(name: str, path: str, kind: str = "string") -> dict[str, str]:
    return {"name": name, "type": kind, "jsonPath": path}


_NOT_READ = (
    "Sidecars of this version read policies from the ConfigMap outrider-policies (the chart's value "
    "settings.policyConfigMap) of their namespace. What is created of this kind is checked and stored, and has no "
    "effect yet."
)
_AGE = _column("Age", ".metadata.creationTimestamp", "date")
KINDS = {
    "AgentPolicy": (
        "agentpolicies",
        f"What agents may call, and who may call them. {_NOT_READ}",
        policy_schema.POLICY_FIELDS,
        [_column("Mode", ".spec.mode"), _column("Egress", ".spec.egress"), _AGE],
    ),
    "Backend": (
        "backends",
        f"Something that agents talk to. {_NOT_READ}",
        backend_schema.BACKEND_FIELDS,
        [
            _column("Protocol", ".spec.protocol"),
            _column("Host", ".spec.host"),
            _column("Port", ".spec.port", "integer"),
            _AGE,
        ],
    ),
}


def crd(kind: str) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    plural, description, fields, columns = KINDS[kind]
    group, version = documents.API_VERSION.split("/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "categories": ["outrider"],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": columns,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {
                            "description": description,
                            "type": "object",
                            "required": ["spec"],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": object_of(fields),
                                "status": {"type": "object", KEPT: True},
                            },
                        }
                    },
                }
            ],
        },
    }


class _Plain(yaml.SafeDumper):
    """No aliases: what is used twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def template(kind: str) -> str:
    """The chart's template of one kind."""
    document = crd(kind)
    name = document["metadata"].pop("name")
    body = yaml.dump(document["spec"], Dumper=_Plain, sort_keys=False, width=110)
    indented = "".join(f"  {line}\n" for line in body.splitlines())
    return (
        "{{- /* Written by charts/build_crds.py from the tables of mesh/policy. */}}\n"
        "{{- if .Values.crds.install }}\n"
        f"apiVersion: {document['apiVersion']}\n"
        f"kind: {document['kind']}\n"
        "metadata:\n"
        f"  name: {name}\n"
        '  labels: {{- include "outrider.labels" . | nindent 4 }}\n'
        "  {{- if .Values.crds.keep }}\n"
        "  annotations:\n"
        "    helm.sh/resource-policy: keep\n"
        "  {{- end }}\n"
        f"spec:\n{indented}"
        "{{- end }}\n"
    )


def files() -> dict[Path, str]:
    """Every file with what belongs into it."""
    return {FOLDER / f"{KINDS[kind][0]}.yaml": template(kind) for kind in KINDS}


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
