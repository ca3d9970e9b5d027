"""Our own documents at the API server: refused while anything in them is wrong, with everything that is.

What an AgentPolicy or a Backend says is read by the very reader that sidecars have, so that what is taken here is
understood there. What documents say of each other is not looked at, because they come one by one and in any order;
within one ConfigMap it is, because sidecars read it as a whole. Where there is no control plane nobody reads
resources, and whoever makes one is told so: a policy that does nothing must not look like one that holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mesh.policy.errors import PolicyError, PolicyInvalid
from mesh.policy.load import load_texts, read_object_alone
from mesh.reasons import Reason
from mesh.settings.table import CONFIG_MAP_POLICIES
from webhook.admission.documents import AdmissionRequest
from webhook.admission.outcome import Problem, Refusal, Skipped

GROUP = "outrider.dev"
KINDS = frozenset({"AgentPolicy", "Backend"})
SUFFIXES = (".yaml", ".yml")
_SHOWN = 50
_PLACEHOLDER = "generated"


def is_document(request: AdmissionRequest) -> bool:
    """Does the request create or change an AgentPolicy or a Backend, or a ConfigMap?"""
    return subject(request) != "" and request.get("operation") in ("CREATE", "UPDATE")


def subject(request: AdmissionRequest) -> str:
    """The kind of document that a request is about, or nothing."""
    kind = request.get("kind") or {}
    name = kind.get("kind", "")
    if request.get("subResource"):
        return ""
    if kind.get("group") == GROUP and name in KINDS:
        return name
    return name if (kind.get("group", ""), kind.get("version"), name) == ("", "v1", "ConfigMap") else ""


def judge(request: AdmissionRequest, config_map: str = "", *, control: bool = False) -> Refusal | Skipped:
    """Whether the document may be stored. Nothing is raised, whatever it holds.

    `control`: sidecars are told of resources. `config_map` is where they read policies otherwise; empty: from
    elsewhere.
    """
    document, kind = request.get("object") or {}, subject(request)
    if kind == "ConfigMap":
        return _config_map(document)
    judged = _document(document)
    if isinstance(judged, Refusal) or control:
        return judged
    return replace(judged, warnings=(_unread(kind, config_map),))


def _unread(kind: str, config_map: str) -> str:
    where = f"ConfigMap {config_map}" if config_map else "their own files"
    return f"this {kind} has no effect: sidecars here read only {where}"


def _document(document: Mapping[str, Any]) -> Refusal | Skipped:
    metadata = document.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    kept = {key: named[key] for key in ("name", "namespace") if named.get(key)}
    if not kept.get("name") and named.get("generateName"):
        kept["name"] = _PLACEHOLDER  # the API server makes the name, later
    plain = {key: value for key, value in document.items() if key != "status"} | {"metadata": kept}
    try:
        read_object_alone(plain)
    except PolicyInvalid as invalid:
        return _refused(_told(error) for error in invalid.errors)
    return _fine()


def _config_map(document: Mapping[str, Any]) -> Refusal | Skipped:
    metadata, data, binary = (document.get(key) for key in ("metadata", "data", "binaryData"))
    labels = metadata.get("labels") if isinstance(metadata, dict) else None
    if not isinstance(labels, dict) or CONFIG_MAP_POLICIES.name not in labels:
        return Skipped(Reason.NOT_VALIDATED, Reason.NOT_VALIDATED.sentence)
    faults = []
    value = str(labels[CONFIG_MAP_POLICIES.name])
    problem = CONFIG_MAP_POLICIES.values.problem(value)
    if problem is not None:
        allowed = CONFIG_MAP_POLICIES.values.allowed
        faults.append(f"label {CONFIG_MAP_POLICIES.name}: {value!r} {problem}; allowed: {allowed}")
    files = data if isinstance(data, dict) else {}
    texts = [
        (key, text) for key, text in sorted(files.items()) if key.endswith(SUFFIXES) and isinstance(text, str)
    ]
    if not texts:
        faults.append(f"data: no key ends in {' or '.join(SUFFIXES)}, so no sidecar reads anything")
    if isinstance(binary, dict):
        faults += [
            f"binaryData.{key}: policies are text; use data"
            for key in sorted(binary)
            if key.endswith(SUFFIXES)
        ]
    try:
        load_texts(texts)
    except PolicyInvalid as invalid:
        faults += map(str, invalid.errors)
    return _refused(faults) if faults else _fine()


def _told(error: PolicyError) -> str:
    # What the API server sends has no lines that anybody would know.
    return f"{error.path}: {error.message}" if error.path else error.message


def _refused(faults: Iterable[str]) -> Refusal:
    listed = list(faults)
    left = len(listed) - _SHOWN
    shown = [*listed[:_SHOWN], *([f"and {left} more"] if left > 0 else [])]
    reason = Reason.DOCUMENTS_INVALID
    sentence = f"{reason.sentence}\n" + "\n".join(f"- {fault}" for fault in shown)
    return Refusal(reason, sentence, tuple(Problem(reason, fault) for fault in listed))


def _fine() -> Skipped:
    return Skipped(Reason.DOCUMENTS_VALID, Reason.DOCUMENTS_VALID.sentence)
