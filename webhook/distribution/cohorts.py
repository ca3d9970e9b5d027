"""Pods that are alike: of one namespace, with one account and the same labels.

A configuration depends on nothing else of a pod. So everything is worked out for cohorts, of which a Deployment
has one or two, and what a policy selects is found by the rarest of the labels it asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from webhook.distribution.objects import Labels, Pod
from webhook.distribution.selectors import selects

_Like = tuple[str, str, Labels]


class Cohort:
    """Pods that are alike. `pods` and `running` count them, `streams` those that are connected here.

    `topics` is what its configuration, `content`, was made from. Compared by identity.
    """

    __slots__ = ("account", "content", "labels", "namespace", "pods", "running", "streams", "topics")

    def __init__(self, namespace: str, account: str, labels: Labels) -> None:
        self.namespace = namespace
        self.account = account
        self.labels = labels
        self.pods = 0
        self.running = 0
        self.streams = 0
        self.topics: frozenset[Any] = frozenset()
        self.content: Any = None


class Cohorts:
    """All pods, and the cohorts that they form."""

    __slots__ = ("_by_label", "_by_namespace", "_cohorts", "pods")

    def __init__(self) -> None:
        self.pods: dict[tuple[str, str], Pod] = {}
        self._cohorts: dict[_Like, Cohort] = {}
        self._by_namespace: dict[str, dict[Cohort, None]] = {}
        self._by_label: dict[tuple[str, str, str], dict[Cohort, None]] = {}

    def put(self, pod: Pod) -> tuple[Pod | None, Pod]:
        """A pod is new or has changed; what it was, and what it is."""
        place = (pod.namespace, pod.name)
        before = self.pods.get(place)
        if before == pod:
            return before, before
        cohort = self._cohort(pod)
        # Labels that are equal are kept once.
        pod = Pod(pod.namespace, pod.name, pod.uid, pod.account, cohort.labels, pod.running)
        self.pods[place] = pod
        cohort.pods += 1
        cohort.running += pod.running
        if before is not None:
            self._leave(before)
        return before, pod

    def remove(self, namespace: str, name: str) -> Pod | None:
        """A pod is gone; what it was."""
        pod = self.pods.pop((namespace, name), None)
        if pod is not None:
            self._leave(pod)
        return pod

    def of(self, pod: Pod) -> Cohort:
        """The cohort of a pod that is there."""
        return self._cohorts[pod.namespace, pod.account, pod.labels]

    def runs(self, namespace: str, account: str) -> bool:
        """Is there a pod of this account that is neither over nor about to go?"""
        cohorts = self._by_namespace.get(namespace, {})
        return any(cohort.running for cohort in cohorts if cohort.account == account)

    def select(self, namespace: str, selector: Labels) -> Iterator[Cohort]:
        """Cohorts of a namespace that a selector matches."""
        candidates = self._by_namespace.get(namespace, {})
        for name, value in selector:
            having = self._by_label.get((namespace, name, value))
            if having is None:
                return
            if len(having) < len(candidates):
                candidates = having
        yield from (cohort for cohort in candidates if selects(selector, cohort.labels))

    def __iter__(self) -> Iterator[Cohort]:
        return iter(self._cohorts.values())

    def __len__(self) -> int:
        return len(self._cohorts)

    def _cohort(self, pod: Pod) -> Cohort:
        like = (pod.namespace, pod.account, pod.labels)
        cohort = self._cohorts.get(like)
        if cohort is None:
            cohort = self._cohorts[like] = Cohort(*like)
            for index, place in self._places(cohort):
                index.setdefault(place, {})[cohort] = None
        return cohort

    def _leave(self, pod: Pod) -> None:
        cohort = self.of(pod)
        cohort.pods -= 1
        cohort.running -= pod.running
        if cohort.pods:
            return
        del self._cohorts[pod.namespace, pod.account, pod.labels]
        for index, place in self._places(cohort):
            del index[place][cohort]
            if not index[place]:
                del index[place]

    def _places(self, cohort: Cohort) -> Iterable[tuple[dict[Any, dict[Cohort, None]], Any]]:
        yield self._by_namespace, cohort.namespace
        for name, value in cohort.labels:
            yield self._by_label, (cohort.namespace, name, value)
