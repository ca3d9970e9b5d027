"""XAccessPolicies by what they target and by whom they name, and which of them are accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mesh.policy.access.documents import AccessPolicy, Action, ServiceAccount, TargetRef
from webhook.distribution.entries import Entry, Force
from webhook.distribution.kinds import Key
from webhook.distribution.offers import Domains

ANYBODY = "*"
"""The source of rules that name none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Is an XAccessPolicy accepted at a target? `reason` is that of the condition, `message` for people."""

    accepted: bool
    reason: str = "Accepted"
    message: str = ""


Verdicts = Mapping[TargetRef, Verdict]
Judge = Callable[[Iterable[AccessPolicy]], Mapping[str, Verdicts]]
"""All policies of one namespace that can be read, by name, to a verdict for each target."""


class AccessPolicies:
    """All XAccessPolicies of the cluster."""

    __slots__ = ("_by_namespace", "_by_source", "_by_target", "_domains", "_judge", "_unjudged", "_verdicts")

    def __init__(self, judge: Judge, domains: Domains) -> None:
        self._judge = judge
        self._domains = domains
        self._by_target: dict[TargetRef, dict[Key, Entry]] = {}
        self._by_source: dict[str, dict[Key, Entry]] = {}
        self._by_namespace: dict[str, dict[Key, Entry]] = {}
        self._verdicts: dict[Key, Verdicts] = {}
        self._unjudged: set[str] = set()

    def put(self, before: Entry | None, entry: Entry) -> set[object]:
        """A policy is new or has changed; the topics on which there is something else to say now."""
        topics = self._drop(before) if before is not None else set()
        if entry.force is Force.CLOSED:
            self._verdicts.pop(entry.key, None)
        for index, place in self._places(entry):
            index.setdefault(place, {})[entry.key] = entry
        self._unjudged.add(entry.key.namespace)
        return topics | self._topics(entry)

    def remove(self, entry: Entry) -> set[object]:
        """A policy is gone; the topics, as above."""
        self._verdicts.pop(entry.key, None)
        self._unjudged.add(entry.key.namespace)
        return self._drop(entry)

    def settle(self) -> set[object]:
        """Judge what has changed, and what stands beside it; the topics, as above."""
        topics: set[object] = set()
        for namespace in self._unjudged:
            topics |= self._judged(namespace)
        self._unjudged.clear()
        return topics

    def at(self, target: TargetRef) -> Iterator[Entry]:
        """The policies that are about `target`, accepted or not: one that is not still closes it."""
        yield from self._by_target.get(target, {}).values()

    def granting(self, spiffe_id: str) -> Iterator[Entry]:
        """Policies that might let this caller in, where they are accepted."""
        for source in (spiffe_id, ANYBODY):
            for key, entry in self._by_source.get(source, {}).items():
                if entry.value.action is Action.ALLOW and key in self._verdicts:
                    yield entry

    def verdicts(self, key: Key) -> Verdicts:
        """Is it accepted, and where? Empty where it cannot be read."""
        return self._verdicts.get(key, {})

    def of_namespace(self, namespace: str) -> Iterator[Entry]:
        """The policies of one namespace."""
        yield from self._by_namespace.get(namespace, {}).values()

    def _drop(self, entry: Entry) -> set[object]:
        for index, place in self._places(entry):
            entries = index[place]
            entries.pop(entry.key, None)
            if not entries:
                del index[place]
        return self._topics(entry)

    def _judged(self, namespace: str) -> set[object]:
        """Judge the policies of a namespace anew: the topics of those whose verdict is another now."""
        entries = [one for one in self.of_namespace(namespace) if one.force is not Force.CLOSED]
        judged = self._judge(one.value for one in entries)
        topics: set[object] = set()
        for one in entries:
            verdicts = judged[one.key.name]
            if self._verdicts.get(one.key) != verdicts:
                self._verdicts[one.key] = verdicts
                topics |= self._topics(one) | {("verdict", one.key)}
        return topics

    def _topics(self, entry: Entry) -> set[object]:
        value: AccessPolicy | None = entry.value
        if value is None:
            return set()
        about = {("target", target) for target in value.targets}
        return about | {("grants", source) for source in self._sources(value)}

    def _places(self, entry: Entry) -> Iterator[tuple[dict[object, dict[Key, Entry]], object]]:
        value: AccessPolicy | None = entry.value
        yield self._by_namespace, entry.key.namespace  # type: ignore[misc]
        if value is not None:
            for target in dict.fromkeys(value.targets):
                yield self._by_target, target  # type: ignore[misc]
            for source in self._sources(value):
                yield self._by_source, source  # type: ignore[misc]

    def _sources(self, policy: AccessPolicy) -> set[str]:
        if not policy.rules:
            return {ANYBODY}
        return {self._source(rule.source) for rule in policy.rules}

    def _source(self, source: str | ServiceAccount | None) -> str:
        if source is None:
            return ANYBODY
        return source if isinstance(source, str) else self._domains.spiffe_id(source.namespace, source.name)
