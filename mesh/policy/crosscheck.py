"""Checks between documents: names that are taken, destinations and keys that clash, Backends that do not exist.

A document that has faults of its own still counts as declared, so that one typing error does not bring a
trail of "does not exist" with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mesh.policy.documents import AgentPolicy, BackendProtocol
from mesh.policy.fields import Mention, Place

SUGGESTED = 20


@dataclass(frozen=True, slots=True)
class Declared:
    """A document whose kind and name could be read; `value` is INVALID when the rest could not."""

    kind: str
    name: str
    namespace: str | None
    line: int
    place: Place
    value: Any

    def report(self, path: str, message: str) -> None:
        """Note a fault at `path`, on the line where that path stands."""
        Place(self.place.sheet, path).report(message, self.line)

    def where(self) -> str:
        """The file and line, for messages about another document."""
        return f"{self.place.sheet.log.file}:{self.line}"


class _Reach:
    """Documents by namespace, to find one that some agent could see together with another.

    An agent sees the documents of its own namespace and those without one.
    """

    def __init__(self) -> None:
        self._first: dict[str | None, Declared] = {}

    def add(self, document: Declared) -> None:
        self._first.setdefault(document.namespace, document)

    def beside(self, namespace: str | None) -> Declared | None:
        """The first document that an agent could see beside one of `namespace`."""
        if namespace is None:
            return next(iter(self._first.values()), None)
        return self._first.get(namespace) or self._first.get(None)


def cross_check(documents: list[Declared]) -> None:
    """Report to each document's own sheet what is wrong between the documents."""
    unique_names(documents)
    backends = [document for document in documents if document.kind == "Backend"]
    _unique_destinations(backends)
    _one_place_for_keys(documents)
    by_name: dict[str, list[Declared]] = {}
    for backend in backends:
        by_name.setdefault(backend.name, []).append(backend)
    for document in documents:
        for mention in document.place.sheet.mentions:
            _check_mention(document, mention, by_name)


def _clashes(group: Iterable[Declared]) -> Iterator[tuple[Declared, Declared]]:
    """Pairs (earlier, later) that one agent could see both of; each later one is named once."""
    seen = _Reach()
    for document in group:
        earlier = seen.beside(document.namespace)
        if earlier is not None:
            yield earlier, document
        seen.add(document)


def unique_names(documents: list[Declared]) -> None:
    """Report documents of one kind and name that one agent could see both of."""
    groups: dict[tuple[str, str], list[Declared]] = {}
    for document in documents:
        groups.setdefault((document.kind, document.name), []).append(document)
    for (kind, name), group in groups.items():
        for earlier, later in _clashes(group):
            later.report("metadata.name", f"{kind} {name} exists already, at {earlier.where()}; rename one")


def _unique_destinations(backends: list[Declared]) -> None:
    """Two Backends for the same requests would make their order decide; TCP takes all of its port."""
    same_path: dict[tuple[str, int, str], list[Declared]] = {}
    below_root: dict[tuple[str, int], _Reach] = {}
    for document in backends:
        spec = document.place.sheet.spec
        host, port, path = spec.get("host"), spec.get("port"), spec.get("path")
        if isinstance(host, str) and isinstance(port, int) and isinstance(path, str):
            same_path.setdefault((host, port, path), []).append(document)
            if path != "/":
                below_root.setdefault((host, port), _Reach()).add(document)
    for (host, port, path), group in same_path.items():
        for earlier, later in _clashes(group):
            message = (
                f"Backend {earlier.name} at {earlier.where()} has the same host, port and path; keep one"
            )
            later.report("spec.host", message)
        if path == "/" and (host, port) in below_root:
            _tcp_alone(group, below_root[host, port])


def _tcp_alone(group: list[Declared], rivals: _Reach) -> None:
    for document in group:
        rival = rivals.beside(document.namespace)
        if rival is not None and document.place.sheet.spec["protocol"] is BackendProtocol.TCP:
            message = f"protocol TCP takes its whole host and port, but Backend {rival.name} has a path there"
            document.report("spec.protocol", message)


@dataclass(frozen=True, slots=True)
class _Keys:
    """Where the keys of an issuer are, as the policy of `document` has it at `path`."""

    document: Declared
    policy: AgentPolicy
    path: str
    uri: str

    def contradicts(self, other: _Keys) -> bool:
        """Whether an agent that both policies select would find two places, and so trust neither."""
        if self.uri == other.uri or not _meet(self.document.namespace, other.document.namespace):
            return False
        labels = dict(self.policy.match_labels)
        return all(labels.get(name, value) == value for name, value in other.policy.match_labels)


def _one_place_for_keys(documents: list[Declared]) -> None:
    """Report policies that look for the keys of one issuer in different places: `united_users` drops it then."""
    by_issuer: dict[str, list[_Keys]] = {}
    for document in documents:
        policy = document.value
        if isinstance(policy, AgentPolicy) and policy.users is not None:
            for index, issuer in enumerate(policy.users.issuers):
                if issuer.jwks_uri is not None:
                    path = f"spec.users.issuers[{index}].jwksUri"
                    keys = _Keys(document, policy, path, issuer.jwks_uri)
                    by_issuer.setdefault(issuer.issuer, []).append(keys)
    for issuer_name, said in by_issuer.items():
        if len({keys.uri for keys in said}) > 1:
            _report_contradictions(issuer_name, said)


def _report_contradictions(issuer: str, said: list[_Keys]) -> None:
    for position, later in enumerate(said):
        earlier = next((keys for keys in said[:position] if later.contradicts(keys)), None)
        if earlier is not None:
            message = (
                f"AgentPolicy {earlier.document.name} at {earlier.document.where()} has another jwksUri for "
                f"{issuer}, at {earlier.path}; an agent that both select would accept no token of it"
            )
            later.document.report(later.path, message)


RATES = "rateLimit"
TOOL_RATES = f"{RATES}.tools"


def _check_mention(document: Declared, mention: Mention, backends: dict[str, list[Declared]]) -> None:
    namespace = document.namespace
    place, slash, name = mention.backend.rpartition("/")
    if slash:
        found = [b for b in backends.get(name, ()) if b.namespace == place]
    else:
        found = [b for b in backends.get(name, ()) if _meet(b.namespace, namespace)]
    if not found and slash:
        document.report(f"{mention.path}.backend", f"there is no Backend {name} in namespace {place}")
    elif not found:
        message = "" if document.place.sheet.log.full else _no_backend(mention.backend, namespace, backends)
        document.report(f"{mention.path}.backend", message)
    protocols = {backend.place.sheet.spec.get("protocol") for backend in found}
    if not protocols.isdisjoint((BackendProtocol.HTTP, BackendProtocol.TCP)):
        for name in mention.mcp_fields:
            if (name, BackendProtocol.TCP in protocols) in ((RATES, False), (TOOL_RATES, True)):
                continue  # each request of HTTP is counted; of TCP the whole section is told
            message = f"Backend {mention.backend} does not speak MCP, so this would have no effect; remove it"
            document.report(f"{mention.path}.{name}", message)
    if any(backend.place.sheet.spec.get("protocol") is BackendProtocol.TCP for backend in found):
        for name in mention.user_fields:
            message = (
                f"Backend {mention.backend} is TCP, of which no user is known: this would refuse all of it"
            )
            document.report(f"{mention.path}.{name}", message)


def _meet(one: str | None, other: str | None) -> bool:
    """True when some agent could see documents of both namespaces."""
    return one is None or other is None or one == other


def _no_backend(name: str, namespace: str | None, backends: dict[str, list[Declared]]) -> str:
    known = sorted({b.name for group in backends.values() for b in group if _meet(b.namespace, namespace)})
    listed = ", ".join(known[:SUGGESTED]) + (", ..." if len(known) > SUGGESTED else "")
    where = f" in namespace {namespace}" if namespace else ""
    return f"there is no Backend {name}{where}; known: {listed or 'none'}"
