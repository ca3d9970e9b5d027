"""Texts and objects to documents: everything that is wrong with all of them, in one go.

    text -> yaml_tree  -> envelope -> the schema of its kind -> crosscheck -> Documents
    object -> value_tree -^

Nothing is used unless everything is right: half a policy is another policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from mesh.policy.access.backend_schema import read_older_xbackend, read_xbackend
from mesh.policy.access.documents import AGENTIC_GROUP, GATEWAY_X_GROUP, AccessPolicy, TargetRef, XBackend
from mesh.policy.access.older_schema import read_older_policy
from mesh.policy.access.policy_schema import read_access_policy
from mesh.policy.access.target_schema import read_standing
from mesh.policy.backend_schema import read_backend
from mesh.policy.crosscheck import Declared, cross_check, unique_names
from mesh.policy.documents import API_VERSION, AgentPolicy, Backend, Documents
from mesh.policy.errors import ErrorLog, PolicyError, PolicyInvalid
from mesh.policy.fields import Invalid, Place, Sheet, read_object
from mesh.policy.metadata import ENVELOPE, IGNORED, mismatch
from mesh.policy.policy_schema import read_policy
from mesh.policy.value_tree import from_value
from mesh.policy.yaml_tree import Node, read_documents

Document = AgentPolicy | Backend | AccessPolicy | XBackend | tuple[TargetRef, ...]
"""What a document is read into; a Standing is read into its targets."""

_READERS: dict[tuple[str, str], Callable[[str, str | None, Node, Place], Document | Invalid]] = {
    (API_VERSION, "Backend"): read_backend,
    (API_VERSION, "AgentPolicy"): read_policy,
    (API_VERSION, "Standing"): read_standing,
    (f"{AGENTIC_GROUP}/v1alpha1", "XAccessPolicy"): read_access_policy,
    (f"{AGENTIC_GROUP}/v0alpha0", "XAccessPolicy"): read_older_policy,
    (f"{AGENTIC_GROUP}/v0alpha0", "XBackend"): read_older_xbackend,
    (f"{GATEWAY_X_GROUP}/v1alpha1", "XBackend"): read_xbackend,
}


def load_texts(texts: Iterable[tuple[str, str]]) -> Documents:
    """The documents of YAML texts, given as (file name, text).

    Raises PolicyInvalid with every fault of every text, in the order of the texts and of their lines.
    """
    logs: list[ErrorLog] = []
    declared: list[Declared] = []
    for file, text in texts:
        log = ErrorLog(file)
        logs.append(log)
        for node in read_documents(text, log):
            document = _read_document(node, log)
            if document is not None:
                declared.append(document)
    cross_check(declared)
    return _documents(logs, declared)


def load_objects(objects: Iterable[Mapping[str, Any]]) -> Documents:
    """The documents of objects as a control plane sends them.

    It alone says from what it made a Backend (annotation `outrider.dev/origin`): of what others wrote that would
    take a Backend out of the policies about it.
    What rules name may be missing: such rules have no effect. Raises PolicyInvalid with every fault of every
    object; the file of each is like `AgentPolicy agents/triage`, its line 0.
    """
    logs: list[ErrorLog] = []
    declared: list[Declared] = []
    for value in objects:
        log = ErrorLog(_called(value))
        logs.append(log)
        document = _read_document(from_value(_named(value), log), log, made=True)
        if document is not None:
            declared.append(document)
    unique_names(declared)
    return _documents(logs, declared)


def read_object_alone(value: Mapping[str, Any]) -> Document:
    """One object by itself, its metadata as an API server has it. Raises PolicyInvalid with every fault."""
    log = ErrorLog(_called(value))
    document = _read_document(from_value(value, log), log)
    if log.errors or document is None or isinstance(document.value, Invalid):
        raise PolicyInvalid(tuple(log.listed()))
    value_read: Document = document.value
    return value_read


def _named(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """A Standing needs no name: there is one for a sidecar, and nobody refers to it."""
    if value.get("kind") != "Standing" or "metadata" in value:
        return value
    return {**value, "metadata": {"name": "standing"}}


def _called(value: Any) -> str:
    """How messages call an object, whatever it is."""
    members = value if isinstance(value, Mapping) else {}
    metadata = members.get("metadata")
    named = metadata if isinstance(metadata, Mapping) else {}
    name = "/".join(str(named[key])[:253] for key in ("namespace", "name") if named.get(key))
    return f"{str(members.get('kind', 'document'))[:63]} {name}".rstrip()


def _documents(logs: list[ErrorLog], declared: list[Declared]) -> Documents:
    errors: list[PolicyError] = [error for log in logs for error in log.listed()]
    if errors:
        raise PolicyInvalid(tuple(errors))
    values = [document.value for document in declared]
    return Documents(
        backends=tuple(value for value in values if isinstance(value, Backend)),
        policies=tuple(value for value in values if isinstance(value, AgentPolicy)),
        access_policies=tuple(value for value in values if isinstance(value, AccessPolicy)),
        xbackends=tuple(value for value in values if isinstance(value, XBackend)),
        standing=tuple(dict.fromkeys(ref for value in values if isinstance(value, tuple) for ref in value)),
    )


def load_alone(file: str, text: str) -> None:
    """Check the one document of `text` by itself: what it names elsewhere may come later, or be there already.

    Raises PolicyInvalid with every fault.
    """
    log = ErrorLog(file)
    nodes = read_documents(text, log)
    for node in nodes:
        _read_document(node, log)
    if len(nodes) != 1 and not log.errors:
        log.add(1, "", f"{len(nodes)} documents, exactly one is needed")
    if log.errors:
        raise PolicyInvalid(tuple(log.listed()))


def _read_document(node: Node, log: ErrorLog, *, made: bool = False) -> Declared | None:
    """One document, or None when not even its kind and name can be told. `made`: by a control plane."""
    place = Place(Sheet(log), "")
    values = read_object(node, place, ENVELOPE, ignored=IGNORED)
    if values is None:
        return None
    version, kind, metadata = values["apiVersion"], values["kind"], values["metadata"]
    named = metadata if isinstance(metadata, dict) else {}
    name, namespace = named.get("name"), named.get("namespace")
    if not isinstance(kind, str) or not isinstance(version, str):
        return None
    wrong = mismatch(version, kind)
    if wrong is not None:
        place.child("kind").report(wrong, node.line)
        return None
    spec = values["spec"]
    if isinstance(spec, Invalid):
        return None
    known_namespace = namespace if isinstance(namespace, str) else None
    reader = _READERS[version, kind]
    value = reader(name if isinstance(name, str) else "", known_namespace, spec, place.child("spec"))
    if not isinstance(name, str) or isinstance(namespace, Invalid):
        return None
    called = kind if kind != "XBackend" else f"{kind}.{version.partition('/')[0]}"
    return Declared(called, name, known_namespace, node.line, place, _dated(value, named, made))


def _dated(value: Document | Invalid, metadata: dict[str, Any], made: bool) -> Document | Invalid:
    """The value with what its metadata says of where it comes from."""
    if isinstance(value, Backend):
        return replace(value, origin=metadata["annotations"]) if made and metadata["annotations"] else value
    if isinstance(value, AccessPolicy | XBackend):
        return replace(value, created=metadata["creationTimestamp"])
    return value
