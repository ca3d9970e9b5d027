"""Writes the chart's CRDs from the tables by which policies are loaded.

`python -m charts.build_crds` writes them; a test checks that what is written is what the code says.

The loader stays the judge: it says everything that is wrong at once, with sentences, and the validating webhook
asks it. What a CRD can say of it the schema says, so that much is refused while the webhook is away. Fields that
it does not know are kept rather than dropped, everywhere: an API server that silently dropped a rule written in a
later version's words would leave a policy that grants more than it says. The loader refuses them by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

from charts import field_words
from charts.crd_schemas import LEFT, SHORT, object_of
from charts.crd_status import STATUS
from mesh.policy import documents

FOLDER = Path(__file__).parent / "outrider" / "templates" / "crds"


def _column(name: str, path: str, kind: str = "string", wide: bool = False) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": 1} if wide else {})}


def _condition(name: str, head: str = "") -> dict[str, Any]:
    return _column(head or name, f'.status.conditions[?(@.type=="{name}")].status')


class Kind(NamedTuple):
    """A kind of ours: its names, and the columns that `kubectl get` shows."""

    plural: str
    short: str
    columns: tuple[dict[str, Any], ...]


_APPLIED = _column("Applied", ".status.appliedTo")
_AGE = _column("Age", ".metadata.creationTimestamp", "date")
# `be` is Envoy Gateway's Backend.
KINDS = {
    "AgentPolicy": Kind(
        "agentpolicies",
        "agp",
        (
            _column("Mode", ".spec.mode"),
            _column("Egress", ".spec.egress"),
            _condition("Accepted"),
            _condition("ResolvedRefs", "Resolved"),
            _APPLIED,
            _AGE,
        ),
    ),
    "Backend": Kind(
        "backends",
        "agb",
        (
            _column("Protocol", ".spec.protocol"),
            _column("Host", ".spec.host"),
            _column("Port", ".spec.port", "integer"),
            _column("Path", ".spec.path", wide=True),
            _column("TLS", ".spec.tls.mode", wide=True),
            _condition("Accepted"),
            _condition("Conflicted"),
            _APPLIED,
            _AGE,
        ),
    ),
}


def crd(kind: str) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    told = KINDS[kind]
    group, version = documents.API_VERSION.split("/")
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{told.plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": told.plural,
                "singular": kind.lower(),
                "shortNames": [told.short],
                "categories": ["outrider"],
            },
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": list(told.columns),
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema(kind)},
                }
            ],
        },
    }


def schema(kind: str) -> dict[str, Any]:
    """The schema of a whole object of a kind."""
    return {
        "description": field_words.KINDS[kind],
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {"description": "What is wanted.", **_checked(object_of(kind))},
            "status": STATUS,
        },
    }


def _checked(part: Any) -> Any:
    """A schema without what is left to the loader."""
    if isinstance(part, dict):
        return {key: _checked(below) for key, below in part.items() if key not in (LEFT, SHORT)}
    return [_checked(below) for below in part] if isinstance(part, list) else part


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
    return {FOLDER / f"{told.plural}.yaml": template(kind) for kind, told in KINDS.items()}


if __name__ == "__main__":
    for path, content in files().items():
        path.write_text(content, encoding="utf-8")
