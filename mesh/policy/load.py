"""Texts to documents: everything that is wrong with all files, in one go.

    text -> yaml_tree -> envelope -> backend_schema | policy_schema -> crosscheck -> Documents

Nothing is used unless everything is right: half a policy is another policy.
"""

from __future__ import annotations

from collections.abc import Iterable

from mesh.policy.backend_schema import read_backend
from mesh.policy.crosscheck import Declared, cross_check
from mesh.policy.documents import AgentPolicy, Backend, Documents
from mesh.policy.errors import ErrorLog, PolicyError, PolicyInvalid
from mesh.policy.fields import Invalid, Place, Sheet, read_object
from mesh.policy.metadata import ENVELOPE, IGNORED
from mesh.policy.policy_schema import read_policy
from mesh.policy.yaml_tree import Node, read_documents

_READERS = {"Backend": read_backend, "AgentPolicy": read_policy}


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
    errors: list[PolicyError] = [error for log in logs for error in log.listed()]
    if errors:
        raise PolicyInvalid(tuple(errors))
    values = [document.value for document in declared]
    return Documents(
        backends=tuple(value for value in values if isinstance(value, Backend)),
        policies=tuple(value for value in values if isinstance(value, AgentPolicy)),
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


def _read_document(node: Node, log: ErrorLog) -> Declared | None:
    """One document, or None when not even its kind and name can be told."""
    place = Place(Sheet(log), "")
    values = read_object(node, place, ENVELOPE, ignored=IGNORED)
    if values is None:
        return None
    kind, metadata = values["kind"], values["metadata"]
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    named = metadata if isinstance(metadata, dict) else {}
    name, namespace = named.get("name"), named.get("namespace")
    spec = values["spec"]
    if reader is None or isinstance(spec, Invalid):
        return None
    known_namespace = namespace if isinstance(namespace, str) else None
    value = reader(name if isinstance(name, str) else "", known_namespace, spec, place.child("spec"))
    if not isinstance(name, str) or isinstance(namespace, Invalid):
        return None
    return Declared(kind, name, known_namespace, node.line, place, value)
