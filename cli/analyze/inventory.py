"""The objects that are analysed, each with the place where it is written, and what follows from them together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

from cli.cluster.answers import Obj
from cli.inject import namespaces_in
from cli.kubernetes_yaml import ManifestLoader
from cli.manifests import Manifest
from cli.workloads import Workload, objects, workloads_in
from webhook.admission.inject import inject
from webhook.admission.outcome import Injection, Namespace, Outcome
from webhook.admission.settings import InjectionSettings

CLUSTER = "cluster"
_CLUSTER_WIDE = frozenset({"Namespace", "MutatingWebhookConfiguration"})


@dataclass(frozen=True)
class Item:
    """One object. `manifest` is None for one that was read from a cluster, `prefix` leads to it inside a list."""

    value: Obj
    manifest: Manifest | None = None
    prefix: tuple[str | int, ...] = ()

    @property
    def source(self) -> str:
        """The file, or the cluster."""
        return self.manifest.source if self.manifest else CLUSTER

    @property
    def kind(self) -> str:
        return str(self.value.get("kind"))

    def section(self, key: str) -> Obj:
        """`metadata`, `spec` or `data`; empty where it is no object."""
        found = self.value.get(key)
        return found if isinstance(found, dict) else {}

    @property
    def name(self) -> str:
        metadata = self.section("metadata")
        return str(metadata.get("name") or metadata.get("generateName") or "(no name)")

    def namespace(self, default: str) -> str:
        """Its namespace, or where it goes when it does not say."""
        found = self.section("metadata").get("namespace")
        return found if isinstance(found, str) and found else default

    def described(self, default: str) -> str:
        """Kind and name, with the namespace where the kind has one."""
        if self.kind in _CLUSTER_WIDE:
            return f"{self.kind} {self.name}"
        return f"{self.kind} {self.namespace(default)}/{self.name}"

    def line(self, *path: str | int) -> int:
        """The line of the key at `path`, or of the last part of it that exists; 0 in a cluster."""
        return self.mark(*path)[0]

    def mark(self, *path: str | int) -> tuple[int, str | None]:
        """The line of a value, and how it is written there: `|` and `>` are blocks, which begin a line below."""
        if self.manifest is None or self._root is None:
            return 0, None
        node, line = self._root, self._root.start_mark.line
        for key in (*self.prefix, *path):
            found = _child(node, key)
            if found is None:
                break
            line, node = found
        style = node.style if isinstance(node, yaml.ScalarNode) else None
        return self.manifest.line + line - self._root.start_mark.line, style

    @cached_property
    def _root(self) -> Any:
        if self.manifest is None:
            return None
        loader = ManifestLoader(self.manifest.text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()


def _child(node: Any, key: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == key:
                return name.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark.line, node.value[key]
    return None


@dataclass(frozen=True)
class Agent:
    """A workload, and what admission makes of its pods."""

    item: Item
    workload: Workload
    namespace: Namespace
    outcome: Outcome

    @property
    def injected(self) -> bool:
        return isinstance(self.outcome, Injection)

    @property
    def template(self) -> tuple[str, ...]:
        """The path of the pod in its object."""
        if self.item.kind == "Pod":
            return ()
        inner = ("spec", "template")
        return ("spec", "jobTemplate", *inner) if self.item.kind == "CronJob" else inner

    @property
    def labels(self) -> dict[str, str]:
        """Of the pod."""
        metadata = self.workload.pod.get("metadata") if isinstance(self.workload.pod, dict) else None
        found = metadata.get("labels") if isinstance(metadata, dict) else None
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Inventory:
    """Everything. `default` is where objects go that do not say; `live`: what is not here is nowhere.

    `running` are the pods of a cluster, also those that controllers made; `absent` says that it has no injector,
    and `partly` that not everything of it could be read: what is not here may yet be there.
    """

    items: tuple[Item, ...]
    settings: InjectionSettings = field(default_factory=InjectionSettings)
    default: str = "default"
    live: bool = False
    running: tuple[Item, ...] = ()
    absent: bool = False
    partly: bool = False
    known: dict[str, Namespace] = field(default_factory=dict)
    assumed: dict[str, str] = field(default_factory=dict)

    def of_kind(self, *kinds: str) -> Iterator[Item]:
        """The objects of some kinds."""
        return (item for item in self.items if item.kind in kinds)

    @cached_property
    def namespaces(self) -> dict[str, Namespace]:
        """By name; those of the settings file where no object says more."""
        found = [Manifest("", 0, "", item.value) for item in self.of_kind("Namespace")]
        return {**self.known, **namespaces_in(found)}

    @cached_property
    def agents(self) -> tuple[Agent, ...]:
        """Every workload with the verdict of admission."""
        return tuple(self._agents())

    def _agents(self) -> Iterator[Agent]:
        for item in self.items:
            for workload in workloads_in(item.value):
                where = item.namespace(self.default)
                known = self.namespaces.get(where, Namespace(where))
                namespace = Namespace(where, {**known.labels, **self.assumed}, known.annotations)
                yield Agent(item, workload, namespace, inject(workload.pod, namespace, self.settings))


def items_of(manifests: list[Manifest]) -> list[Item]:
    """Every object of the manifests, also those in lists."""
    found: list[Item] = []
    for manifest in manifests:
        whole = list(objects(manifest.value))
        if len(whole) == 1 and whole[0] is manifest.value:
            found.append(Item(manifest.value, manifest))
        else:
            found += [Item(value, manifest, ("items", index)) for index, value in enumerate(whole)]
    return found


def laid_over(live: list[Item], files: list[Item], default: str) -> tuple[Item, ...]:
    """Both, where what is in a file replaces the same object of the cluster."""

    def key(item: Item) -> tuple[str, str, str]:
        return item.kind, item.namespace(default), item.name

    written = {key(item) for item in files}
    return (*(item for item in live if key(item) not in written), *files)
