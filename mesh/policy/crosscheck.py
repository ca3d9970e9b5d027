"""Checks between documents: names that are taken, destinations that clash, Backends that do not exist.

A document that has faults of its own still counts as declared, so that one typing error does not bring a
trail of "does not exist" with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mesh.policy.documents import EVERY_BACKEND, AgentPolicy, Backend, BackendProtocol, McpGrant, OutboundRule
from mesh.policy.fields import Invalid, Place


@dataclass(frozen=True, slots=True)
class Declared:
    """A document whose kind and name could be read; `value` is INVALID when the rest could not."""

    kind: str
    name: str
    namespace: str | None
    line: int
    place: Place
    value: Backend | AgentPolicy | Invalid

    def report(self, path: str, message: str) -> None:
        """Note a fault at `path`, on the line where that path stands."""
        self.place.log.add(self.place.lines.get(path, self.line), path, message)

    def where(self) -> str:
        """The file and line, for messages about another document."""
        return f"{self.place.log.file}:{self.line}"


def cross_check(documents: list[Declared]) -> None:
    """Report to each document's own log what is wrong between the documents."""
    _unique_names(documents)
    _unique_destinations(documents)
    backends: dict[str, list[Declared]] = {}
    for document in documents:
        if document.kind == "Backend":
            backends.setdefault(document.name, []).append(document)
    for document in documents:
        if isinstance(document.value, AgentPolicy):
            _references(document, document.value, backends)


def same_reach(one: str | None, other: str | None) -> bool:
    """True when an agent could see documents of both namespaces: they are equal, or one is absent."""
    return one is None or other is None or one == other


def _clashes(group: Iterable[Declared]) -> Iterator[tuple[Declared, Declared]]:
    """Pairs (earlier, later) that one agent could see both of; each later one is named once."""
    seen: dict[str | None, Declared] = {}
    for document in group:
        if document.namespace is None:
            earlier = next(iter(seen.values()), None)
        else:
            earlier = seen.get(document.namespace) or seen.get(None)
        if earlier is not None:
            yield earlier, document
        seen.setdefault(document.namespace, document)


def _unique_names(documents: list[Declared]) -> None:
    groups: dict[tuple[str, str], list[Declared]] = {}
    for document in documents:
        groups.setdefault((document.kind, document.name), []).append(document)
    for (kind, name), group in groups.items():
        for earlier, later in _clashes(group):
            later.report(
                "metadata.name", f"there is a {kind} {name} already at {earlier.where()}; rename one"
            )


def _unique_destinations(documents: list[Declared]) -> None:
    """Two Backends for the same requests would make their order decide; TCP takes every request of its
    port.
    """
    groups: dict[tuple[str, int], list[tuple[Declared, Backend]]] = {}
    for document in documents:
        if isinstance(document.value, Backend):
            groups.setdefault((document.value.host, document.value.port), []).append(
                (document, document.value)
            )
    for group in groups.values():
        by_path: dict[str, list[Declared]] = {}
        for document, backend in group:
            by_path.setdefault(backend.path, []).append(document)
        for paths in by_path.values():
            for earlier, later in _clashes(paths):
                message = (
                    f"Backend {earlier.name} at {earlier.where()} has the same host, port and path; keep one"
                )
                later.report("spec.host", message)
        if len(by_path) > 1:
            _tcp_alone(group)


def _tcp_alone(group: list[tuple[Declared, Backend]]) -> None:
    for document, backend in group:
        if backend.protocol is BackendProtocol.TCP:
            for other, rival in group:
                if rival.path != backend.path and same_reach(document.namespace, other.namespace):
                    message = f"protocol TCP takes every request of its host and port, and Backend {other.name} is there"
                    document.report("spec.protocol", message)
                    break


def _references(document: Declared, policy: AgentPolicy, backends: dict[str, list[Declared]]) -> None:
    for index, rule in enumerate(policy.outbound):
        if not isinstance(rule, OutboundRule) or rule.backend == EVERY_BACKEND:
            continue
        path = f"spec.outbound[{index}]"
        found = [b for b in backends.get(rule.backend, ()) if same_reach(b.namespace, policy.namespace)]
        if not found:
            document.report(f"{path}.backend", _no_backend(rule.backend, policy.namespace, backends))
        for field in _mcp_fields(rule):
            if any(
                isinstance(b.value, Backend) and b.value.protocol is not BackendProtocol.MCP for b in found
            ):
                message = (
                    f"Backend {rule.backend} does not speak MCP, so this would have no effect; remove it"
                )
                document.report(f"{path}.{field}", message)


def _no_backend(name: str, namespace: str | None, backends: dict[str, list[Declared]]) -> str:
    known = sorted(
        {b.name for group in backends.values() for b in group if same_reach(b.namespace, namespace)}
    )
    listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
    where = f" in namespace {namespace}" if namespace else ""
    return f"there is no Backend {name}{where}; known: {listed or 'none'}"


def _mcp_fields(rule: OutboundRule) -> Iterator[str]:
    """The fields of the rule that only mean something for MCP."""
    grant: McpGrant = rule.mcp
    if grant.tools is not None:
        yield "tools"
    if grant.prompts is not None:
        yield "prompts"
    if grant.resources is not None:
        yield "resources"
    if grant.unknown_methods:
        yield "unknownMethods"
    if rule.server_requests is not None:
        yield "serverRequests"
