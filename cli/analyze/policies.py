"""Findings about policies: documents that are wrong, and documents that hardly mean what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cli.analyze.finding import Finding, at
from cli.analyze.inventory import Inventory, Item
from cli.kubernetes_yaml import dump
from cli.workloads import texts
from mesh.policy import AgentPolicy, Documents, PolicyInvalid, load_texts
from mesh.policy.documents import EVERY_BACKEND, McpGrant, Mode
from mesh.settings.table import PREFIX

POLICIES_LABEL = PREFIX + "policies"
SUFFIXES = (".yaml", ".yml")
_GROUP = PREFIX.rstrip("/")


@dataclass(frozen=True, slots=True)
class Texts:
    """Policy texts that are loaded together. Their lines are those of the file that they stand in.

    `namespace` is where documents apply that name none: that of their ConfigMap."""

    texts: tuple[tuple[str, str], ...]
    items: tuple[Item, ...]
    namespace: str | None

    def holding(self, source: str, line: int) -> Item:
        """The object that a line belongs to: the last that begins before it."""
        before = [one for one in self.items if one.source == source and one.line() <= line]
        return max(before, key=lambda one: one.line(), default=self.items[0])


def invalid(inventory: Inventory) -> Iterator[Finding]:
    """OUT0201 and OUT0204"""
    for group in groups(inventory):
        try:
            load_texts(group.texts)
        except PolicyInvalid as error:
            for one in error.errors:
                code = "OUT0204" if one.message.startswith("there is no Backend") else "OUT0201"
                message = f"{one.path}: {one.message}" if one.path else one.message
                item = group.holding(one.file, one.line)
                line = 0 if item.manifest is None else one.line
                yield Finding(code, item.described(inventory.default), one.file, line, message)


def selects_nothing(inventory: Inventory) -> Iterator[Finding]:
    """OUT0202. Where no workload of its namespace is known, nobody can tell."""
    for policy, group, space in _policies(inventory):
        agents = [one for one in inventory.agents if space in (None, one.namespace.name)]
        if not agents and (inventory.partly or not (inventory.live and space)):
            continue
        wanted = dict(policy.match_labels)
        if not any(wanted.items() <= texts(one.labels).items() for one in agents):
            labels = ", ".join(f"{key}={value}" for key, value in wanted.items()) or "every pod"
            where = f" of namespace {space}" if space else ""
            yield _about(inventory, group, policy.name, "OUT0202", f"no pod{where} has {labels}")


def unused_backends(inventory: Inventory) -> Iterator[Finding]:
    """OUT0203"""
    for group, documents in _loaded(inventory):
        named = {rule.backend for policy in documents.policies for rule in policy.outbound}
        for backend in documents.backends:
            if backend.name not in named and EVERY_BACKEND not in named:
                message = f"no policy names Backend {backend.name} under outbound"
                yield _about(inventory, group, backend.name, "OUT0203", message)


def grants_everything(inventory: Inventory) -> Iterator[Finding]:
    """OUT0205"""
    for policy, group, _ in _policies(inventory):
        for index, rule in enumerate(policy.outbound):
            if _every_tool(rule.mcp):
                message = f"outbound[{index}] grants every tool of {rule.backend}"
                yield _about(inventory, group, policy.name, "OUT0205", message)


def observing(inventory: Inventory) -> Iterator[Finding]:
    """OUT0207"""
    for policy, group, _ in _policies(inventory):
        if policy.mode is Mode.OBSERVE:
            message = f"AgentPolicy {policy.name} records and does not refuse"
            yield _about(inventory, group, policy.name, "OUT0207", message)


def missing(inventory: Inventory) -> Iterator[Finding]:
    """OUT0206"""
    name = inventory.settings.mounted_policies
    if not name:
        return
    there = {one.namespace(inventory.default) for one in inventory.of_kind("ConfigMap") if one.name == name}
    said: set[str] = set()
    for agent in inventory.agents:
        space = agent.namespace.name
        if agent.injected and space not in there | said:
            said.add(space)
            where = "the cluster" if inventory.live else "these files"
            message = f"namespace {space} has no ConfigMap {name} in {where}"
            yield at(agent.item, inventory.default, "OUT0206", message)


def groups(inventory: Inventory) -> Iterator[Texts]:
    """Resources together, and each ConfigMap by itself."""
    resources = [one for one in inventory.items if str(one.value.get("apiVersion")).startswith(f"{_GROUP}/")]
    if resources:
        yield Texts(tuple((one.source, _text(one)) for one in resources), tuple(resources), None)
    for item in inventory.of_kind("ConfigMap"):
        labels = texts(item.section("metadata").get("labels"))
        if item.name == inventory.settings.mounted_policies or labels.get(POLICIES_LABEL) == "true":
            yield Texts(tuple(_files(item)), (item,), item.namespace(inventory.default))


def _text(item: Item) -> str:
    """A resource as text, on the lines that it has in its file."""
    if item.manifest is None or item.prefix:
        return "\n" * max(item.line() - 1, 0) + dump(item.value)
    head = item.manifest.text.split("\n")
    first = next((i for i, line in enumerate(head) if line.strip() and not line.lstrip().startswith("#")), 0)
    return "\n" * max(item.manifest.line - 1 - first, 0) + item.manifest.text


def _files(item: Item) -> Iterator[tuple[str, str]]:
    for key, text in sorted(texts(item.value.get("data")).items()):
        if key.endswith(SUFFIXES):
            line, style = item.mark("data", key)
            source = item.source if item.manifest else f"{item.source}, {key}"
            yield source, "\n" * (line if style in ("|", ">") else max(line - 1, 0)) + text


def _loaded(inventory: Inventory) -> Iterator[tuple[Texts, Documents]]:
    for group in groups(inventory):
        try:
            yield group, load_texts(group.texts)
        except PolicyInvalid:
            continue  # `invalid` says so; what else it may mean nobody knows


def _policies(inventory: Inventory) -> Iterator[tuple[AgentPolicy, Texts, str | None]]:
    for group, documents in _loaded(inventory):
        for policy in documents.policies:
            yield policy, group, policy.namespace or group.namespace


def _every_tool(grant: McpGrant) -> bool:
    return grant.tools is not None and EVERY_BACKEND in grant.tools.allow and not grant.tools.deny


def _about(inventory: Inventory, group: Texts, name: str, code: str, message: str) -> Finding:
    """At the resource itself where it is one, else at the ConfigMap."""
    if group.namespace is None:
        for item in inventory.of_kind("AgentPolicy", "Backend"):
            if item.name == name:
                return at(item, inventory.default, code, message)
    return at(group.items[0], inventory.default, code, message)
