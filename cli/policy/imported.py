"""What an import makes, and what it leaves out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mesh.policy.documents import API_VERSION

Document = dict[str, Any]


@dataclass
class Imported:
    """`left_out` says with place and reason what has no counterpart; `notes`, what to know of the rest."""

    documents: list[Document] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, kind: str, name: str, namespace: str, spec: dict[str, Any]) -> None:
        """A document more."""
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        self.documents.append({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})
